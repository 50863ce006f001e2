"""Which radio bleak uses: the machine's own, or another by its dotted name.

A radio is bleak's classes (its public ``backend=`` plug-in point). The name is
``package.module:function``; the function takes nothing and returns an asynchronous context
manager of a ``Radio``. Whoever sets it can run code in this process, as with ``PYTHONPATH``:
the process's environment and its configuration file are trusted. No radio is named here.
"""

import importlib
import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gateway.errors import SettingsError

if TYPE_CHECKING:  # bleak takes 0.2 s and 8 MB: only a gateway with a radio loads it.
    from bleak.backends.adapter import BaseBleakAdapter
    from bleak.backends.client import BaseBleakClient
    from bleak.backends.scanner import BaseBleakScanner

_NAME: Final = re.compile(r"[a-zA-Z_][\w.]*:[a-zA-Z_]\w*", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Radio:
    """bleak's scanner, client and adapter; None is bleak's own choice for this platform.

    Without an ``adapter`` beside a scanner of its own, a radio knows of no links but ours.
    """

    scanner: "type[BaseBleakScanner] | None" = None
    client: "type[BaseBleakClient] | None" = None
    adapter: "type[BaseBleakAdapter] | None" = None


@asynccontextmanager
async def open_radio(name: str) -> AsyncIterator[Radio]:
    """Have the radio of that name for the block; an empty name is the machine's own.

    Raises:
        SettingsError: There is no such module or function.
    """
    if not name:
        yield Radio()
        return
    if not _NAME.fullmatch(name):
        msg = f"backend {name!r} is not package.module:function. Leave it out to use BlueZ"
        raise SettingsError(msg)
    module, _, function = name.partition(":")
    try:
        opening = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        msg = f"backend {name!r} cannot be loaded: {error}. Leave it out to use BlueZ"
        raise SettingsError(msg) from error
    opened: AbstractAsyncContextManager[Radio] = opening()
    async with opened as radio:
        yield radio
