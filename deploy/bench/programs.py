"""The benchmark's own child processes: they speak lines of JSON, and none is left behind.

Whatever ends us, ``kill -9`` included, ends them (``deploy.bench.tether``).
"""

import contextlib
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

from deploy.bench.errors import BenchError

_LINES_MAX: Final = 10_000
_STOP_S_MAX: Final = 20.0
_PREFIXES: Final = ("GATEWAY_", "INGEST_", "JUDGE_", "DISPATCHER_", "API_")
_TAIL_LINES: Final = 3
_TETHER: Final = Path(__file__).with_name("tether.py")


class Program:
    """One child. A context manager: leaving it ends the process, gently first.

    The main thread makes it: the kernel ends a tethered child with the *thread* that started it.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        folder: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        if threading.current_thread() is not threading.main_thread():
            msg = f"{name} would end with a thread that is not the main one: start it there"
            raise RuntimeError(msg)
        self.name = name
        self.log = folder / f"{name}.log"
        settled = {key: value for key, value in os.environ.items() if not key.startswith(_PREFIXES)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", _TETHER, str(os.getpid()), *map(str, command)],
                env={**settled, **(environment or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is ours to handle.
            )
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue(maxsize=_LINES_MAX)
        self._reader = threading.Thread(target=self._read, name=f"read {name}", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    def _read(self) -> None:
        stream = self._process.stdout
        if stream is not None:
            for line in stream:
                with contextlib.suppress(ValueError):  # A library's own chatter.
                    said = json.loads(line)
                    if isinstance(said, dict):
                        self._lines.put(said)
        self._lines.put(None)

    def tell(self, line: str) -> None:
        """Write one line to its standard input."""
        if self._process.stdin is None or self._process.poll() is not None:
            raise self._ended()
        self._process.stdin.write(line.rstrip("\n") + "\n")
        self._process.stdin.flush()

    def wait_for(self, event: str | None, *, within_s: float) -> dict[str, Any]:
        """The next line that names ``event`` (None: the next line at all).

        Raises:
            BenchError: It ended, or did not say so in time; names its log.
        """
        deadline = time.monotonic() + within_s
        while True:
            try:
                said = self._lines.get(timeout=max(deadline - time.monotonic(), 0.01))
            except queue.Empty:
                msg = f"{self.name} did not say {event or 'anything'} within {within_s:.0f} s"
                msg += f"; see {self.log}"
                raise BenchError(msg) from None
            if said is None:
                raise self._ended()
            if event is None or said.get("event") == event:
                return said

    def require_running(self) -> None:
        """Raise ``BenchError`` when it has ended."""
        if self._process.poll() is not None:
            raise self._ended()

    def _ended(self) -> BenchError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        lines = self.log.read_text("utf-8", errors="replace").strip().splitlines()
        said = f": {' / '.join(lines[-_TAIL_LINES:])}" if lines else ""
        return BenchError(f"{self.name} ended ({self._process.returncode}){said}; see {self.log}")

    def stop(self) -> None:
        """End it."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=_STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._reader.join(timeout=_STOP_S_MAX)
        if self._process.stdout is not None:
            self._process.stdout.close()
