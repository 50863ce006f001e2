"""The six collections: which body, alone or in a line, which answer, who may write, and how."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, create_model

from api.auth.permissions import Permission
from api.cursors import PageQuery
from api.registry import examples, lines, schemas
from ingest.db import contracts, places
from ingest.db.connections import Connection
from ingest.db.registry import Authorship, Kind, Outcome
from ingest.db.resident_writes import Sealing, save_residents

Save: TypeAlias = Callable[
    [Connection, Sequence[Any], Authorship, Sealing | None], Awaitable[list[Outcome]]
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """One collection of the register."""

    path: str
    kind: Kind
    body: type[schemas.Content]
    out: type[schemas.Versioned]
    line: type[lines.AnyLine]
    page: type[BaseModel]
    query: type[PageQuery]
    reads: Permission
    writes: Permission
    save: Save

    def answer(self, row: dict[str, Any]) -> schemas.Versioned:
        """A row of ``queries`` as told."""
        content = dict(row["content"])
        if self.kind == "resident":
            content["personal_data"] = _PERSONAL.get(content.pop("personal"), "sealed")
        plain = {name: value for name, value in row.items() if name != "content"}
        return self.out.model_validate({**plain, **content})


_PERSONAL: Final[dict[Any, str]] = {None: "none", "erased": "erased"}


def _unsealed(
    write: Callable[[Connection, Sequence[Any], Authorship], Awaitable[list[Outcome]]],
) -> Save:
    """The function of a kind that names nobody."""

    async def save(
        connection: Connection, values: Sequence[Any], by: Authorship, _: Sealing | None
    ) -> list[Outcome]:
        return await write(connection, values, by)

    return save


def _page(kind: str, out: type[schemas.Versioned]) -> type[BaseModel]:
    """A page of one collection, by a name of its own in the document."""
    return create_model(
        f"{out.__name__.removesuffix('Out')}Page",
        __config__=ConfigDict(json_schema_extra={"examples": [examples.page(kind)]}),
        __doc__="One page, in order of id.",
        items=(list[out], ...),  # type: ignore[valid-type]  # a class known at run time only
        next_cursor=(str | None, ...),
    )


_REGISTER: Final = (Permission.REGISTER_READ, Permission.REGISTER_WRITE)
_RESIDENTS: Final = (Permission.RESIDENTS_READ, Permission.RESIDENTS_WRITE)


def _collection(
    path: str,
    kind: Kind,
    models: tuple[
        type[schemas.Content], type[lines.AnyLine], type[schemas.Versioned], type[PageQuery]
    ],
    permissions: tuple[Permission, Permission],
    save: Save,
) -> Collection:
    body, line, out, query = models
    return Collection(
        path=path,
        kind=kind,
        body=body,
        line=line,
        out=out,
        page=_page(kind, out),
        query=query,
        reads=permissions[0],
        writes=permissions[1],
        save=save,
    )


COLLECTIONS: Final = (
    _collection(
        "centres",
        "centre",
        (schemas.CentreIn, lines.CentreLine, schemas.CentreOut, schemas.RegistryQuery),
        _REGISTER,
        _unsealed(places.save_centres),
    ),
    _collection(
        "teams",
        "team",
        (schemas.TeamIn, lines.TeamLine, schemas.TeamOut, schemas.TeamQuery),
        _REGISTER,
        _unsealed(places.save_teams),
    ),
    _collection(
        "staff",
        "staff",
        (schemas.StaffIn, lines.StaffLine, schemas.StaffOut, schemas.StaffQuery),
        _REGISTER,
        _unsealed(places.save_staff),
    ),
    _collection(
        "packages",
        "package",
        (schemas.PackageIn, lines.PackageLine, schemas.PackageOut, schemas.RegistryQuery),
        _REGISTER,
        _unsealed(contracts.save_packages),
    ),
    _collection(
        "residents",
        "resident",
        (schemas.ResidentIn, lines.ResidentLine, schemas.ResidentOut, schemas.ResidentQuery),
        _RESIDENTS,
        save_residents,
    ),
    _collection(
        "contracts",
        "contract",
        (schemas.ContractIn, lines.ContractLine, schemas.ContractOut, schemas.ContractQuery),
        _RESIDENTS,
        _unsealed(contracts.save_contracts),
    ),
)
