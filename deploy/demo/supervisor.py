"""Starts our processes as an operator would, and starts them again when they die.

It must never lose a process: every one it started is ended, whatever happens. A process that
cannot start at all (exit 2: wrong setting) is not tried again, its log is named.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from deploy.demo.errors import DemoError

_READY_S_MAX: Final = 30.0
_STOP_S_MAX: Final = 10.0
_RESTART_PAUSE_S: Final = 0.3
_RESTARTS_MAX: Final = 50
_BAD_SETTING: Final = 2
_PREFIXES: Final = ("GATEWAY_", "INGEST_", "JUDGE_", "DISPATCHER_", "API_", "NOTIFY_", "DELIVER_")
_COMMAND: Final = Path(sys.executable).with_name("suifang")


@dataclass(slots=True)
class Service:
    """One process of ours, over all its lives."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    speaks: bool  # It prints one JSON line on stdout when it is ready.
    said: dict[str, Any] = field(default_factory=dict)
    restarts: int = 0
    process: asyncio.subprocess.Process | None = None


def _neutral_environment() -> dict[str, str]:
    """Ours without settings meant for an installation of the caller's."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_PREFIXES)}


class Supervisor:
    """An async context manager; leaving it ends what it started, gateways first."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.services: list[Service] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._stopping = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End everything, however often we are told to hurry."""
        stopping = asyncio.ensure_future(self.stop())
        while not stopping.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(stopping)
        stopping.result()

    async def start(
        self, name: str, *arguments: str, environment: Mapping[str, str], speaks: bool
    ) -> dict[str, Any]:
        """Start one service and wait until it is ready; returns what it said.

        Raises:
            DemoError: It ended, or said nothing in time; names its log.
        """
        log = self._folder / f"{name}.log"
        service = Service(name, arguments, environment, log, speaks)
        self.services.append(service)
        await self._launch(service)
        self._watchers.append(asyncio.create_task(self._watch(service), name=f"watch {name}"))
        return service.said

    async def _launch(self, service: Service) -> None:
        with service.log.open("ab") as log:
            service.process = await asyncio.create_subprocess_exec(
                str(_COMMAND),
                *service.arguments,
                env={**_neutral_environment(), **service.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE if service.speaks else asyncio.subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,  # Ctrl-C is ours to handle, in the right order.
            )
        if not service.speaks:
            return
        assert service.process.stdout is not None  # noqa: S101 - asked for above
        try:
            async with asyncio.timeout(_READY_S_MAX):
                line = await service.process.stdout.readline()
            service.said = json.loads(line)
        except (TimeoutError, ValueError) as error:
            msg = f"{service.name} did not start; see {service.log}"
            raise DemoError(msg) from error

    async def _watch(self, service: Service) -> None:
        while True:
            assert service.process is not None  # noqa: S101 - launched before it is watched
            code = await service.process.wait()
            if self._stopping:
                return
            service.restarts += 1
            if code == _BAD_SETTING or service.restarts > _RESTARTS_MAX:
                return
            await asyncio.sleep(_RESTART_PAUSE_S)
            with contextlib.suppress(DemoError):  # Its end is seen in the next round.
                await self._launch(service)

    def require_running(self) -> None:
        """Raise ``DemoError`` when a service has died for good."""
        for service, watcher in zip(self.services, self._watchers, strict=True):
            if watcher.done():
                msg = f"{service.name} ended and cannot be restarted; see {service.log}"
                raise DemoError(msg)

    async def stop(self) -> None:
        """End all services, the last started first, each within ten seconds."""
        self._stopping = True
        for service in reversed(self.services):
            process = service.process
            if process is None or process.returncode is not None:
                continue
            process.terminate()
            try:
                async with asyncio.timeout(_STOP_S_MAX):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
