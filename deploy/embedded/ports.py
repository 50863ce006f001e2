"""Which loopback ports the services use: chosen once, remembered, chosen anew only when taken.

Never from the range the kernel takes outgoing ports from: while a service is down, a client
that keeps connecting to such a port can meet *itself* (TCP simultaneous open), and the service
then cannot come back.
"""

import json
import random
import socket
import time
from collections.abc import Container
from pathlib import Path
from typing import Final

from deploy.embedded.errors import StackError, StateError
from deploy.embedded.folders import read_object, write_private

LOOPBACK: Final = "127.0.0.1"
_LOWEST: Final = 15_000
_HIGHEST: Final = 65_000
_TRIES_MAX: Final = 200
_CHANCE: Final = random.SystemRandom()  # Never two processes alike, whoever seeds ``random``.
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


def is_free(port: int) -> bool:
    """Whether a service could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # As the services do.
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def candidates() -> range:
    """Ports below (or, where there is more room, above) the kernel's outgoing range."""
    try:
        low, high = map(int, _RANGE.read_text("ascii").split())
    except (OSError, ValueError):
        low, high = 32_768, 60_999
    below, above = range(_LOWEST, low), range(high + 1, _HIGHEST)
    return below if len(below) >= len(above) else above


def choose_port(taken: Container[int] = ()) -> int:
    """One of ``candidates`` that is free now and not among ``taken``.

    Raises:
        StackError: None was found.
    """
    pool = candidates()
    for _ in range(_TRIES_MAX):
        port = _CHANCE.choice(pool)
        if port not in taken and is_free(port):
            return port
    msg = f"No free port between {pool.start} and {pool.stop}. Stop something, then run again"
    raise StackError(msg)


class PortMemory:
    """The remembered ports of one stack."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def recall(self, service: str) -> int | None:
        """The remembered port; None before the first start."""
        port = read_object(self._file).get(service)
        if port is not None and not (isinstance(port, int) and 0 < port < 65_536):  # noqa: PLR2004
            msg = f"{self._file} holds no port for {service}: {port!r}. Remove that file"
            raise StateError(msg)
        return port

    def claim(self, service: str, patience_s: float = 3.0) -> int:
        """The remembered port if it is free, else a fresh one, remembered from now on.

        Clients keep the old port, so a service that was just killed gets ``patience_s`` to let
        go of it.
        """
        known = self.recall(service)
        deadline = time.monotonic() + patience_s
        while known is not None:
            if is_free(known):
                return known
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        taken = {port for port in read_object(self._file).values() if isinstance(port, int)}
        port = choose_port(taken)
        self._remember(service, port)
        return port

    def _remember(self, service: str, port: int) -> None:
        ports = read_object(self._file) | {service: port}
        write_private(self._file, json.dumps(ports))
