"""Work too long for a request, in a process of its own: one at a time, with progress, and an end.

    page ──start──▶ queue of one ──▶ run ──asked, one line──▶ process
                                         ◀──progress, result, lines of JSON──

It must never be done in the event loop of the API, or outlive the API: the process hears its
standard input end, and is killed when it does not. Kept in memory of this API process alone.
"""

import asyncio
import contextlib
import json
import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import structlog

from gateway.wire.times import Clock

_log = structlog.get_logger()
_LINE_BYTES_MAX: Final = 16_000_000
_STOP_S_MAX: Final = 10.0


@dataclass(slots=True)
class Job:
    """What was asked, and how far it is. ``problem`` is a word: stopped, too_long or failed."""

    asked: dict[str, Any]
    secret: dict[str, Any]  # Told to the process, shown to nobody.
    by: str
    began_at: datetime
    seconds_max: float
    ended_at: datetime | None = None
    progress: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] | None = None
    problem: str = ""
    detail: str = ""


class Child:
    """Runs a module of ours, one job after another. ``run`` must be running."""

    def __init__(self, module: str, clock: Clock) -> None:
        self._module = module
        self._clock = clock
        self._wanted: asyncio.Queue[Job] = asyncio.Queue(maxsize=1)
        self._process: asyncio.subprocess.Process | None = None
        self.job: Job | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a job runs, or is about to."""
        return self.job is not None and self.job.ended_at is None

    def start(
        self, asked: dict[str, Any], secret: dict[str, Any], *, by: str, seconds_max: float
    ) -> bool:
        """Begin a job; False: another one runs."""
        if self.is_busy:
            return False
        self.job = Job(asked, secret, by, self._clock(), seconds_max)
        self._wanted.put_nowait(self.job)
        return True

    def stop(self) -> None:
        """Ask the job to end."""
        if self.job is not None and self.is_busy:
            self.job.problem = "stopped"
            if self._process is not None and self._process.returncode is None:
                self._process.terminate()

    async def run(self) -> None:
        """Work for ever; cancelled, the process ends first."""
        while True:
            job = await self._wanted.get()
            try:
                async with asyncio.timeout(job.seconds_max):
                    await self._work(job)
            except TimeoutError:
                job.problem = "too_long"
            except (OSError, ValueError) as error:
                _log.warning("long work failed", module=self._module, reason=str(error))
                job.problem = job.problem or "failed"
            finally:
                job.ended_at = self._clock()

    async def _work(self, job: Job) -> None:
        if job.problem:  # Stopped before it began.
            return
        self._process = process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", self._module),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LINE_BYTES_MAX,
        )
        try:
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018 - asked for
            process.stdin.write(json.dumps({**job.asked, **job.secret}).encode() + b"\n")
            await process.stdin.drain()
            while line := await process.stdout.readline():
                _hear(job, json.loads(line))
            code = await process.wait()
            if code and not job.problem:
                job.problem = "failed"
        finally:
            await _end(process)
            self._process = None


def _hear(job: Job, said: dict[str, Any]) -> None:
    job.progress = said.get("progress", job.progress)
    job.result = said.get("result", job.result)
    if "problem" in said:
        job.problem, job.detail = "failed", str(said["problem"])


async def _end(process: asyncio.subprocess.Process) -> None:
    """End it, gently first. Waits on, however often it is cancelled meanwhile."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_S_MAX):
            await process.wait()
    except (TimeoutError, asyncio.CancelledError):
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
