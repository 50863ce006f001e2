"""Everything that writes about somebody: its address and a good body, for whomever it is about.

Bodies are the examples of the OpenAPI document, made to fit ``security_world.py``.
"""

from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any, Final, NamedTuple
from uuid import UUID

from api.registry.kinds import COLLECTIONS
from ingest.db.connections import Connection
from tests.integration.security_world import MEASURED_AT, NOW, TEAM_OF, id_of

Json = dict[str, Any]
_NEW: Final = count(1)

# What writes and is not about one resident; each is tried elsewhere.
BESIDE: Final = {
    "PUT /v1/centres/{id}",
    "PUT /v1/centres/{id}/duty-hours",
    "PUT /v1/teams/{id}",
    "PUT /v1/teams/{id}/duty-hours",
    "PUT /v1/staff/{id}",
    "PUT /v1/staff/{id}/contact",
    "DELETE /v1/staff/{id}/contact",
    "PUT /v1/packages/{id}",
    "PUT /v1/indicators/periods/{period}",
    "PUT /v1/webhooks/{id}",
    "DELETE /v1/webhooks/{id}",
    "POST /v1/webhooks/{id}/secrets",
    "POST /v1/webhooks/{id}/replay",
    "POST /fhir",  # Senders have a centre, not residents: test_fhir_creates.py.
    "POST /fhir/Observation",
    *(f"POST /v1/{each.path}/bulk" for each in COLLECTIONS),  # By line: test_bulk_reach.py.
}

_TABLES: Final = """
SELECT c.oid::regclass::text FROM pg_class c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p')
  AND c.relname NOT LIKE 'audit%' ORDER BY 1"""


class Write(NamedTuple):
    """One request that would change something about somebody."""

    method: str
    path: str
    body: Json | None

    @property
    def words(self) -> str:
        """For whoever reads what failed."""
        return f"{self.method} {self.path}"


def new_id() -> str:
    """An id that nothing has."""
    return str(UUID(int=(0x019CAAB0_0000_7000_8000 << 48) + next(_NEW)))


def ids_about(resident: str) -> dict[str, str]:
    """What stands in addresses for a resident of the world, or for one who is not there."""
    number = [*TEAM_OF].index(resident) + 1 if resident in TEAM_OF else 999_999
    kinds = ("reading", "alert", "amendment", "record")
    return {
        "resident_id": resident,
        **{f"{kind}_id": str(id_of(kind, resident)) for kind in kinds},
        "contract_id": f"contract-{resident}",
        "number": str(number),
    }


def example_of(document: Json, operation: Json) -> Json | None:
    """The body that an operation shows first; None: it takes none."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return None
    if "examples" in content:
        return dict(next(iter(content["examples"].values()))["value"])
    name = content["schema"]["$ref"].rpartition("/")[2]
    return dict(document["components"]["schemas"][name]["examples"][0])


def _fitted(operation: str, body: Json, resident: str) -> Json:
    """The example as this resident's: what names others names them or what is theirs."""
    last = operation.rpartition("/")[2]
    if last == "correction":
        return {"id": new_id(), "glucose": "7.50", "unit": "mmol/L", "reason": "typed"}
    changes: dict[str, Json] = {
        "snooze": {"until": (NOW + timedelta(hours=2)).isoformat()},
        "retraction": {"id": new_id()},
        "claim": {"resident_id": resident},
        "merge": {"into": "ben" if resident == "anna" else "anna"},
        "withdrawals": {"replaces": str(id_of("record", resident))},
        "PUT /v1/residents/{id}": {"team_id": _team_of(resident), "conditions": []},
        "PUT /v1/contracts/{id}": {"resident_id": resident, "package_id": "basic"},
    }
    return {**body, **changes.get(last, {}), **changes.get(operation, {})}


def _team_of(resident: str) -> str:
    return TEAM_OF.get(resident) or ("n1" if MEASURED_AT.get(resident) == "north" else "s1")


def writes_about(document: Json, resident: str) -> Iterator[Write]:
    """Every write of the document that is about one resident, as it would be done to this one."""
    ids = ids_about(resident)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            name = f"{method.upper()} {path}"
            if method == "get" or not operation.get("security") or name in BESIDE:
                continue
            known = ids | {"record_id": new_id(), "day": "2026-03-01"}
            known["id"] = known["resident_id" if "residents" in path else "contract_id"]
            body = example_of(document, operation)
            kind = path.removesuffix("/{record_id}")
            fitted = None if body is None else _fitted(f"{method.upper()} {kind}", body, resident)
            yield Write(method.upper(), path.format_map(known), fitted)


async def fingerprints(connection: Connection) -> dict[str, str]:
    """What is in every table but the audit log, which keeps that somebody tried."""
    tables = [row[0] for row in await (await connection.execute(_TABLES.encode())).fetchall()]
    found = {}
    for table in tables:
        cursor = await connection.execute(
            f"SELECT md5(string_agg(t::text, ' ' ORDER BY t::text)) FROM {table} t".encode()  # noqa: S608
        )
        found[table] = str(await cursor.fetchone())
    return found
