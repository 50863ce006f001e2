"""From the ``Authorization`` header to a principal, by token or by API key.

It must never tell apart a key that is wrong from one that is not there. What was checked is
remembered, so that a busy client costs one check in a while: a token until it ends or the
issuer's keys change, an API key for ``key_remembered_s``. Both memories are bounded.
"""

import hashlib
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

from api.auth import api_keys
from api.auth.key_set import KeySet
from api.auth.principal import LOCAL, Principal
from api.auth.tokens import read_token
from api.database import Database
from api.errors import NotIntroducedError, UnauthenticatedError
from api.settings import ApiSettings
from gateway.wire.times import Clock

_MISSING: Final = "send `Authorization: Bearer` and a token or an API key"
_BAD_KEY: Final = "there is no such API key, or it has expired or was revoked"


def _credential_of(header: str | None) -> str:
    """Empty where there is none."""
    scheme, _, credential = (header or "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


def _digest(credential: str) -> bytes:
    return hashlib.sha256(credential.encode("utf-8", "surrogateescape")).digest()


class Authenticator:
    """Checks credentials. Off (on loopback only), everybody is ``LOCAL``."""

    def __init__(self, settings: ApiSettings, database: Database, clock: Clock) -> None:
        self._off = settings.authentication == "off"
        self._settings = settings.auth
        self._database = database
        self._clock = clock
        self._keys = KeySet(settings.auth, clock)
        self._remembered: OrderedDict[bytes, tuple[datetime, int, Principal]] = OrderedDict()

    def recall(self, header: str | None) -> Principal | None:
        """Who asks, if that was found out a while ago and still holds."""
        if self._off:
            return LOCAL
        digest = _digest(_credential_of(header))
        known = self._remembered.get(digest)
        if known is None or self._clock() >= known[0] or known[1] != self._keys.generation:
            return None
        self._remembered.move_to_end(digest)
        return known[2]

    async def authenticate(self, header: str | None) -> Principal:
        """Who asks.

        Raises:
            UnauthenticatedError: Nobody we know.
            ForbiddenError: Somebody whose roles contradict each other.
            UnavailableError: Neither keys nor database answer.
        """
        known = self.recall(header)
        if known is not None:
            return known
        credential = _credential_of(header)
        if not credential:
            raise NotIntroducedError(_MISSING)
        principal, until = await self._check(credential, self._clock())
        self._remembered[_digest(credential)] = (until, self._keys.generation, principal)
        while len(self._remembered) > self._settings.remembered_max:
            self._remembered.popitem(last=False)
        return principal

    async def _check(self, credential: str, now: datetime) -> tuple[Principal, datetime]:
        if credential.startswith(api_keys.PREFIX):
            return await self._check_key(credential, now)
        if self._settings.issuer is None:
            msg = "only API keys are accepted here"
            raise UnauthenticatedError(msg)
        principal = await read_token(credential, keys=self._keys, settings=self._settings, now=now)
        # Looked at again when the issuer's keys would be: a key taken back ends its tokens.
        until = now + timedelta(seconds=self._settings.jwks_fresh_s)
        return principal, min(until, principal.expires_at or until)

    async def _check_key(self, credential: str, now: datetime) -> tuple[Principal, datetime]:
        parts = api_keys.split_key(credential)
        if parts is None:
            raise UnauthenticatedError(_BAD_KEY)
        async with self._database.writing_as_process() as connection:
            principal = await api_keys.find(connection, *parts, at=now)
        if principal is None:
            raise UnauthenticatedError(_BAD_KEY)
        until = now + timedelta(seconds=self._settings.key_remembered_s)
        return principal, min(until, principal.expires_at or until)
