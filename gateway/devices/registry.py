"""Which devices there are, and how a table of the configuration becomes one.

An adapter is a class ``Adapter(settings, around)`` that is a ``Device``. It is named by a short
word from ``ADAPTERS`` or as ``package.module:Class``, so that one file is enough to add one; its
module is loaded only when it is configured. Whoever writes the configuration can run code in
this process, as with ``PYTHONPATH``: the file is the operator's.
"""

import importlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from gateway.devices import Device, Surroundings
from gateway.errors import SettingsError
from gateway.wire.limits import TEXT_CHARACTERS_MAX

ADAPTERS: Final[Mapping[str, str]] = {
    "ble": "gateway.devices.ble:BleDevices",  # Configured by ``[ble]``, not by an adapter table.
    "tcp": "gateway.devices.tcp:TcpListener",  # Always there: the terminals' port.
    "example-frames": "gateway.devices.example_frames:ExampleFrames",
}
_DOTTED: Final = re.compile(r"[a-zA-Z_][\w.]*:[a-zA-Z_]\w*", re.ASCII)
_BUILT_IN: Final = frozenset({"ble", "tcp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterSettings:
    """One adapter: a table ``[[adapters]]`` of the configuration.

    Attributes:
        adapter: A word of ``ADAPTERS``, or ``package.module:Class``.
        id: ``device_id`` of its readings.
        address: Where it listens or connects, or the port it opens; the adapter says which.
        timezone: IANA name of the zone that the instrument's clock is set to.
        options: What only this adapter knows, as ``name=value``.
    """

    adapter: str
    id: str
    address: str = ""
    timezone: str = "Asia/Shanghai"
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be meant. Raises ``SettingsError`` that begins with the field."""
        if self.adapter in _BUILT_IN:
            msg = f"adapter {self.adapter!r} has settings of its own; see docs/devices.md"
            raise SettingsError(msg)
        if self.adapter not in ADAPTERS and not _DOTTED.fullmatch(self.adapter):
            words = ", ".join(sorted(ADAPTERS.keys() - _BUILT_IN))
            msg = f"adapter must be {words} or package.module:Class, not {self.adapter!r}"
            raise SettingsError(msg)
        if not 1 <= len(self.id) <= TEXT_CHARACTERS_MAX:
            msg = f"id must have 1 to {TEXT_CHARACTERS_MAX} characters"
            raise SettingsError(msg)
        for option in self.options:
            if "=" not in option:
                msg = f"options must look like name=value, not {option!r}"
                raise SettingsError(msg)

    def read_options(self, **known: str) -> dict[str, str]:
        """The options, with these defaults. Raises ``SettingsError`` for one not known.

        >>> AdapterSettings(adapter="a.b:C", id="x", options=("unit=mg/dL",)).read_options(unit="")
        {'unit': 'mg/dL'}
        """
        given = dict(option.split("=", 1) for option in self.options)
        for name in given.keys() - known.keys():
            msg = f"options of {self.id}: {name} is not known; known are {', '.join(known)}"
            raise SettingsError(msg)
        return known | given


def load(name: str) -> Callable[..., Device]:
    """The class of that name, its module loaded now. Raises ``SettingsError``."""
    module, _, attribute = ADAPTERS.get(name, name).partition(":")
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        msg = f"adapter {name!r} cannot be loaded: {error}. Install it, or correct [[adapters]]"
        raise SettingsError(msg) from error
    return cast("Callable[..., Device]", found)


def build(settings: AdapterSettings, around: Surroundings) -> Device:
    """The device that a table means. Raises ``SettingsError``."""
    return load(settings.adapter)(settings, around)
