"""Renews the running gateway's certificate in time, without a restart.

Looked at once a day; from a third of its life on it is renewed, and tried again every hour while
that fails. Two thousand gateways installed in one week must not ask in one minute: every wait has
its own random part. What it needs is imported when it is needed, some megabytes once a year.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from enum import Enum
from random import SystemRandom
from typing import Final

from gateway.enrolment.folder import Identity, IdentityFolder
from gateway.errors import EnrolmentError
from gateway.settings import GatewaySettings
from gateway.wire.times import Clock

_LOG = logging.getLogger(__name__)
_SPREAD: Final = 0.5


def require_own_identity(settings: GatewaySettings) -> None:
    """Refuse to start with the identity of another gateway. Raises ``SettingsError``."""
    if settings.tls_identity_directory is not None:
        folder = IdentityFolder(settings.tls_identity_directory)
        folder.require_owner(settings.id, settings.centre)


def start_renewer(
    tasks: asyncio.TaskGroup,
    settings: GatewaySettings,
    clock: Clock,
    on_renewed: Callable[[], None],
) -> Sequence[asyncio.Task[None]]:
    """Keep an enrolled identity good; nothing is started for any other."""
    if settings.tls_identity_directory is None:
        return ()
    renewer = Renewer(
        IdentityFolder(settings.tls_identity_directory),
        clock,
        check_s=settings.tls_renewal_check_s,
        retry_s=settings.tls_renewal_retry_s,
    )
    return (tasks.create_task(renewer.run(on_renewed), name="renewer"),)


class Outcome(Enum):
    """Of one look."""

    NOT_DUE = "not_due"
    RENEWED = "renewed"
    FAILED = "failed"


class Renewer:
    """Keeps one identity good."""

    def __init__(self, folder: IdentityFolder, clock: Clock, *, check_s: int, retry_s: int) -> None:
        self._folder = folder
        self._clock = clock
        self._check_s = check_s
        self._retry_s = retry_s

    async def run(self, on_renewed: Callable[[], None]) -> None:
        """Look for ever. Cancelled at any point, the folder is good for a second run.

        Args:
            on_renewed: A new certificate is in force.
        """
        while True:
            outcome = await self._look_apart()
            if outcome is Outcome.RENEWED:
                on_renewed()
            wait_s = self._retry_s if outcome is Outcome.FAILED else self._check_s
            await asyncio.sleep(wait_s * SystemRandom().uniform(1 - _SPREAD, 1))

    async def _look_apart(self) -> "Outcome":
        """Look in a thread that nobody waits for when the process ends: it may take a minute."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Outcome] = loop.create_future()

        def tell(outcome: Outcome) -> None:
            if not found.done():
                found.set_result(outcome)

        def look() -> None:
            outcome = self.look()
            with suppress(RuntimeError):  # The loop is closed: the process is ending.
                loop.call_soon_threadsafe(tell, outcome)

        threading.Thread(target=look, daemon=True, name="renewal").start()
        return await found

    def look(self) -> "Outcome":
        """Renew the certificate if it is time to."""
        identity = None
        try:
            identity = self._folder.read()
            if identity is None or identity.renewal_due > self._clock():
                return Outcome.NOT_DUE
            from gateway.enrolment.steps import renew  # noqa: PLC0415 - megabytes, once a year

            renewed = renew(self._folder)
        except EnrolmentError as error:
            left = "" if identity is None else f" ({self._days_left(identity)} days left)"
            _LOG.warning("the certificate is not renewed%s: %s", left, error)
            return Outcome.FAILED
        _LOG.info("the certificate is renewed, until %s", f"{renewed.valid_until:%Y-%m-%d}")
        return Outcome.RENEWED

    def _days_left(self, identity: Identity) -> int:
        return max((identity.valid_until - self._clock()).days, 0)
