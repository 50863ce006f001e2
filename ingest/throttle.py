"""How much of one gateway is taken at once: one mad device must not starve the rest.

A gateway that sends more than its share is answered late. It keeps at most four batches without a
receipt, so it slows down by itself; its excess waits in its own spool and nothing is refused or
lost. PUBACKs never wait. What is held back here dies with the process: the gateway sends again and
gets its receipt for readings that are known.

Source: architecture 8.1.
"""

from collections.abc import Callable
from typing import Final

import structlog

from ingest.settings import ThrottleSettings

_LOG = structlog.get_logger()
_SAY_AGAIN_S: Final = 60.0
_FORGET_S: Final = 3_600.0


class _Account:
    """Readings that a gateway may still send before it is answered late; below 0 it has to wait."""

    __slots__ = ("at_s", "credit", "said_s")

    def __init__(self, at_s: float, credit: float) -> None:
        self.at_s = at_s
        self.credit = credit
        self.said_s = float("-inf")


class Throttle:
    """One account a gateway, filled by time and emptied by readings; bounded by the enrolled."""

    def __init__(self, settings: ThrottleSettings, monotonic_s: Callable[[], float]) -> None:
        self._settings = settings
        self._monotonic_s = monotonic_s
        self._accounts: dict[str, _Account] = {}

    def delay_s(self, gateway: str, readings: int) -> float:
        """Book these readings; how long their receipt waits: 0.0 for nearly everybody.

        Args:
            gateway: Whose.
            readings: Settled just now, redelivered ones too: they cost as much.
        """
        now_s = self._monotonic_s()
        rate, most = self._settings.readings_per_s, float(self._settings.burst_readings)
        account = self._accounts.get(gateway)
        if account is None:
            account = self._accounts[gateway] = _Account(now_s, most)
        account.credit = min(most, account.credit + (now_s - account.at_s) * rate) - readings
        account.at_s = now_s
        if account.credit >= 0:
            return 0.0
        delay_s = min(-account.credit / rate, self._settings.delay_s_max)
        if now_s - account.said_s >= _SAY_AGAIN_S:
            account.said_s = now_s
            _LOG.warning("gateway_throttled", gateway=gateway, receipt_delayed_s=round(delay_s, 1))
        return delay_s

    def forget_idle(self) -> None:
        """Drop accounts that have long been full again."""
        edge_s = self._monotonic_s() - _FORGET_S
        self._accounts = {
            gateway: account for gateway, account in self._accounts.items() if account.at_s > edge_s
        }
