"""One transaction in which something of the register is written, and how refusals are told."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NoReturn, cast

from psycopg import AsyncConnection
from psycopg.rows import dict_row, tuple_row

from api.errors import (
    ApiError,
    ErasedError,
    ForbiddenError,
    NoKeyError,
    PreconditionError,
    RefusedContentError,
)
from ingest.db.connections import Connection
from ingest.db.errors import UnstorableError, translated
from ingest.db.keyring import UnknownKeyError
from ingest.db.registry import Refusal
from rules.errors import ProfileError


@contextmanager
def as_tuples(connection: AsyncConnection[Any]) -> Iterator[Connection]:
    """The same connection for the functions of ``ingest.db``, whose rows are tuples."""
    connection.row_factory = tuple_row
    try:
        with translated():
            yield cast("Connection", connection)
    except UnstorableError as error:
        raise RefusedContentError(
            field="body", value="", remedy="another request changed what this one rests on"
        ) from error
    finally:
        connection.row_factory = dict_row


@contextmanager
def keys_at_hand() -> Iterator[None]:
    """Say that a key is missing, as a fault of the deployment and not of the request."""
    try:
        yield
    except UnknownKeyError as error:
        raise NoKeyError(str(error)) from error


_REMEDY_ERASED: Final = "name and ID number of this resident were erased; leave `personal` out"


def raise_refusal(refusal: Refusal) -> NoReturn:
    """Tell one refusal as a problem. Always raises."""
    error: ApiError
    if refusal.reason == "precondition":
        error = PreconditionError(f"version {refusal.value} stands: {refusal.remedy}")
    elif refusal.reason == "erased":
        error = ErasedError(_REMEDY_ERASED)
    elif refusal.reason == "not_visible":
        error = ForbiddenError(refusal.remedy)
    elif refusal.reason == "no_key":
        error = NoKeyError("names are not kept here: API_KEY_FILE is not set")
    else:
        error = RefusedContentError(field=refusal.field, value=refusal.value, remedy=refusal.remedy)
    raise error


def require_profile(profile: str | None, directory: Path | None) -> None:
    """Refuse a profile that is not there: it would stop every judge. Cost: reads files."""
    if profile is not None:
        from rules.profiles import load_versions  # noqa: PLC0415 - with numpy; seldom needed here

        try:
            load_versions(profile, directory)
        except ProfileError as error:
            raise RefusedContentError(
                field="profile", value=profile, remedy="no such profile; see `suifang rules check`"
            ) from error
