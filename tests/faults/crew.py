"""Our processes over all their lives: started, killed, frozen, and started again when they die.

Starting again is what systemd does in an installation; here the harness does. A process that
ends without our killing it is remembered: nothing of ours may fall over because something else
did.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

_ROOT: Final = Path(__file__).parents[2]
_LOOK_S: Final = 0.1
_RESTART_PAUSE_S: Final = 0.3
_STOP_S_MAX: Final = 10.0
_PREFIXES: Final = ("GATEWAY_", "INGEST_", "JUDGE_", "DISPATCHER_", "API_")


@dataclass(slots=True, eq=False)
class Member:
    """One process of ours and what befell it."""

    name: str
    command: str
    environment: Mapping[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None
    held_down: bool = False  # A fault wants it dead for a while.
    killed: bool = False  # By us, since it was last started.
    unforced_exits: list[int] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """Whether it lives (perhaps frozen)."""
        return self.process is not None and self.process.returncode is None


class Crew:
    """An async context manager; leaving it ends everything it started."""

    def __init__(self) -> None:
        self.members: dict[str, Member] = {}
        self._watcher: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._watcher = asyncio.create_task(self._watch(), name="crew")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        members = list(self.members.values())
        for member in members:
            self._signal(member, signal.SIGCONT)
            self._signal(member, signal.SIGTERM)
        await asyncio.gather(*(self._end(member) for member in members))

    async def start(self, member: Member) -> None:
        """Start one; it is started again whenever it dies."""
        self.members[member.name] = member
        await self._launch(member)

    def kill(self, name: str) -> bool:
        """``kill -9``, and keep it dead until ``release``. False when it was dead already."""
        member = self.members[name]
        member.held_down = True
        hit = self._signal(member, signal.SIGKILL)
        member.killed = member.killed or hit
        return hit

    def release(self, name: str) -> None:
        """Let it be started again."""
        self.members[name].held_down = False

    def freeze(self, name: str) -> None:
        """SIGSTOP."""
        self._signal(self.members[name], signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """SIGCONT."""
        self._signal(self.members[name], signal.SIGCONT)

    def heal(self) -> None:
        """Nobody is frozen or kept dead any longer."""
        for name in self.members:
            self.thaw(name)
            self.release(name)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S)
            for member in self.members.values():
                if member.running or member.held_down or member.process is None:
                    continue
                code = member.process.returncode
                if not member.killed and code is not None:
                    member.unforced_exits.append(code)
                await asyncio.sleep(_RESTART_PAUSE_S)
                if not member.held_down:
                    await self._launch(member)

    async def _launch(self, member: Member) -> None:
        outer = {k: v for k, v in os.environ.items() if not k.startswith(_PREFIXES)}
        with member.log.open("ab") as log:
            member.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.faults.process", member.command),
                cwd=_ROOT,
                env={**outer, **member.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        member.killed = False

    async def _end(self, member: Member) -> None:
        if member.process is None:
            return
        try:
            async with asyncio.timeout(_STOP_S_MAX):
                await member.process.wait()
        except TimeoutError:
            self._signal(member, signal.SIGKILL)
            await member.process.wait()

    @staticmethod
    def _signal(member: Member, number: signal.Signals) -> bool:
        if not member.running or member.process is None:
            return False
        with suppress(ProcessLookupError):
            member.process.send_signal(number)
            return True
        return False
