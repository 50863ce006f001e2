"""Ports that a test gives to a process, which listens there later, or again and again.

Never one that the kernel gives out: any client's connection could take it before the process
listens, or while it is down.
"""

from typing import Final

from deploy.embedded.ports import choose_port

_GIVEN: Final[set[int]] = set()


def free_port() -> int:
    """One that nobody has, and that no test of this process was given before."""
    port = choose_port(_GIVEN)
    _GIVEN.add(port)
    return port
