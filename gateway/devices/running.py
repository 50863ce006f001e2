"""Starts the devices of a gateway besides its terminals' port, and stops them in time.

Each runs in a task of its own. One that ends has nothing more to say; one that fails with a
``GatewayError`` ends the gateway, which is started again: whether a device is worth that is
the device's decision (a radio that is missing is not).
"""

import asyncio
import logging
from collections.abc import Sequence

from gateway.devices import Device, MarkedCapture, Surroundings
from gateway.devices.ble_settings import BleSettings
from gateway.devices.registry import AdapterSettings, build, load

_LOG = logging.getLogger(__name__)


def build_devices(
    ble: BleSettings, adapters: Sequence[AdapterSettings], around: Surroundings
) -> list[Device]:
    """What the configuration asks for. Raises ``SettingsError``."""
    devices = [build(adapter, around) for adapter in adapters]
    if ble.enabled:
        devices.append(load("ble")(ble, around))
    return devices


class Running:
    """The devices' tasks. ``stop`` before the intake ends: they may wait for their last fsync."""

    def __init__(
        self, devices: Sequence[Device], capture: MarkedCapture, tasks: asyncio.TaskGroup
    ) -> None:
        self._tasks = [
            tasks.create_task(self._run(device, capture), name=device.name) for device in devices
        ]

    async def stop(self, seconds: float) -> None:
        """Have them let go; those that do not in time are left to the end of the process."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=seconds)
            for task in late:
                _LOG.error("device %s does not stop", task.get_name())

    @staticmethod
    async def _run(device: Device, capture: MarkedCapture) -> None:
        await device.run(capture)
        _LOG.warning("device %s has ended", device.name)
