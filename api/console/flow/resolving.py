"""What the page does with items of the quarantine: the functions of ``suifang quarantine``.

Who did what to which item is in the audit log, in the same transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from psycopg import AsyncConnection

from api.audit.queries import Note, write
from api.auth.principal import Principal
from api.auth.session import become_intake, become_operations
from api.console.operations.fields import FieldError, check_reason
from api.registry.writing import as_tuples
from api.services import Services
from ingest.db import quarantine

_DIGITS_MAX: Final = 18  # Fits into an int8.


def numbers_in(texts: Sequence[str]) -> list[int]:
    """The items that were ticked. Raises ``FieldError``."""
    if not texts:
        raise FieldError(field="items", word="nothing_chosen")
    if not all(text.isascii() and text.isdecimal() and len(text) <= _DIGITS_MAX for text in texts):
        raise FieldError(field="items", word="number_unknown")
    return sorted({int(text) for text in texts})


async def replay(running: Services, principal: Principal, numbers: Sequence[int]) -> dict[str, int]:
    """Take items through ingest's normal path again; how many became what. All or nothing.

    Raises:
        FieldError: A number is no item's.
    """
    from ingest.resolving import Outcome, Profiles  # noqa: PLC0415 - with numpy
    from ingest.resolving import replay as replay_items  # noqa: PLC0415

    settings, at = running.settings, running.clock()
    profiles = Profiles(settings.console.profile, settings.profile_directory)
    async with running.database.writing(principal, at=at) as connection:
        await become_intake(connection)
        with as_tuples(connection) as tuples:
            await _require_there(tuples, numbers)
            tally = await replay_items(tuples, numbers, profiles, running.clock)
        await _note(connection, principal, "replay", numbers, at)
    return {outcome: tally.count(outcome) for outcome in Outcome if tally.count(outcome)}


async def drop(
    running: Services, principal: Principal, numbers: Sequence[int], because: str
) -> int:
    """Say that items will not be replayed, and why; how many were open.

    Raises:
        FieldError: A number is no item's, or there is no reason.
    """
    why, at = check_reason(because), running.clock()
    async with running.database.writing(principal, at=at) as connection:
        await become_operations(connection)
        with as_tuples(connection) as tuples:
            await _require_there(tuples, numbers)
            dropped = await quarantine.drop(
                tuples, numbers, author=principal.subject, because=why, at=at
            )
        await _note(connection, principal, "drop", numbers, at)
    return dropped


async def _require_there(connection: Any, numbers: Sequence[int]) -> None:  # noqa: ANN401 - rows are tuples
    from ingest.db import quarantine_items  # noqa: PLC0415 - with numpy

    if await quarantine_items.find_missing(connection, numbers):
        raise FieldError(field="items", word="number_unknown")


async def _note(
    connection: AsyncConnection[Any],
    principal: Principal,
    action: str,
    numbers: Sequence[int],
    at: datetime,
) -> None:
    things = [str(number) for number in numbers]
    await write([Note(at, principal.subject, action, "quarantine", [], things)]).run(connection)
