"""The one thread that touches one spool, so that fsync never stops the event loop.

Calls run one at a time, in the order they were made. A cancelled caller does not stop a
call that has begun: what was to be stored is stored.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import ParamSpec, TypeVar

from gateway.errors import SpoolError
from gateway.salvage import read_back_new
from gateway.settings import GatewaySettings
from gateway.spool import Spool
from gateway.spool_place import find_doubts

_LOG = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")


class SpoolThread:
    """A spool and its thread. Only the two counts may be read from elsewhere."""

    def __init__(self, spool: Spool, executor: ThreadPoolExecutor) -> None:
        self.spool = spool
        self._executor = executor

    @property
    def waiting_rows(self) -> int:
        """Readings without a receipt."""
        return self.spool.waiting_rows

    @property
    def unbatched_rows(self) -> int:
        """Readings that no batch holds yet."""
        return self.spool.unbatched_rows

    async def run(self, method: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Run one method of the spool in its thread. Raises what it raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, partial(method, *args, **kwargs))


@asynccontextmanager
async def open_spool(settings: GatewaySettings) -> AsyncIterator[SpoolThread]:
    """Open the gateway's spool. Raises ``SpoolError``. Closing waits for calls that have begun."""
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"spool-{settings.id}")
    loop = asyncio.get_running_loop()
    try:
        spool = await loop.run_in_executor(executor, open_now, settings)
        try:
            yield SpoolThread(spool, executor)
        finally:
            await loop.run_in_executor(executor, spool.close)
    finally:
        executor.shutdown(wait=False)


def open_now(settings: GatewaySettings) -> Spool:
    """Open the gateway's spool in this thread, and read back what was put aside."""
    spool = Spool(
        settings.spool,
        gateway=settings.id,
        rows_max=settings.spool_rows_max,
        bytes_max=settings.spool_bytes_max,
        age_h_max=settings.spool_age_h_max,
        free_bytes_min=settings.spool_free_bytes_min,
    )
    try:
        for doubt in find_doubts(settings.spool):
            _LOG.warning("%s", doubt)
        read_back_new(spool)
    except SpoolError:
        spool.close()
        raise
    return spool
