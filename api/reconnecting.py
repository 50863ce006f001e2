"""Keep one database session going for ever: the one place of each process that retries.

Only a lost database is retried, with exponential, jittered and capped waits. Anything else is a
bug: it passes through and ends the process.
"""

from collections.abc import Awaitable, Callable
from typing import Final

import stamina
import structlog

from ingest.db.errors import DatabaseUnavailableError

_log = structlog.get_logger()

# Then the waits begin again. Stamina computes 2**attempt as a float: at attempt 1,025, after an
# hour and a half without a database, that would overflow and end the process.
_ATTEMPTS_MAX: Final = 50


async def run_sessions(
    session: Callable[[], Awaitable[None]], *, name: str, wait_s_max: float
) -> None:
    """Await ``session`` again and again; it returns never, or by an error.

    Bounded by ``wait_s_max`` between two sessions. Cancellation ends the session and this.
    """
    while True:
        try:
            async for attempt in stamina.retry_context(
                on=(DatabaseUnavailableError, TimeoutError),
                attempts=_ATTEMPTS_MAX,
                timeout=None,
                wait_max=wait_s_max,
            ):
                with attempt:
                    await session()
        except (DatabaseUnavailableError, TimeoutError) as error:
            _log.error("the database stays away", session=name, error=str(error))
