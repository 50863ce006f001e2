"""The issuer's public keys: read from a file or fetched, known by their id, rotated by the issuer.

It must never fetch more often than ``jwks_pause_s``, whatever ids are asked for, and never take
anything but a public RSA or P-256 key. Invariants: one fetch at a time; an answer that is no key
set changes nothing; a key that the issuer took back is forgotten at the next fetch.
"""

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
import structlog
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from api.auth.settings import AuthSettings
from api.errors import UnavailableError
from gateway.wire.times import Clock

_log = structlog.get_logger()

RSA_BITS_MIN: Final = 2_048  # Source: RFC 7518, 3.3.
_KEYS_MAX: Final = 100
PublicKey = RSAPublicKey | EllipticCurvePublicKey


class KeySet:
    """Keys by their id (``kid``). ``generation`` rises whenever they change."""

    def __init__(self, settings: AuthSettings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._keys: dict[str, tuple[str, PublicKey]] = {}
        self._good_at: datetime | None = None  # Last time there was an answer.
        self._tried_at: datetime | None = None
        self._fetching = asyncio.Lock()
        self.generation = 0

    async def find(self, key_id: str) -> tuple[str, PublicKey] | None:
        """Algorithm and key of this id; None when the issuer has none such.

        Raises:
            UnavailableError: There are no keys to decide with. Bounded by ``jwks_fetch_ms_max``.
        """
        if not self._is_within(self._good_at, self._settings.jwks_fresh_s) or (
            key_id not in self._keys
        ):
            await self._fetch_again()
        if not self._is_within(self._good_at, self._settings.jwks_stale_s_max):
            msg = "the issuer's keys cannot be read just now; try again"
            raise UnavailableError(msg, retry_after_s=self._settings.jwks_pause_s)
        return self._keys.get(key_id)

    def _is_within(self, at: datetime | None, seconds: int) -> bool:
        return at is not None and self._clock() - at < timedelta(seconds=seconds)

    async def _fetch_again(self) -> None:
        async with self._fetching:
            if self._is_within(self._tried_at, self._settings.jwks_pause_s):
                return
            self._tried_at = self._clock()
            try:
                keys = read_keys(await self._fetch())
            except (httpx.HTTPError, OSError, ValueError, TimeoutError) as error:
                _log.warning("the issuer's keys cannot be read", reason=type(error).__name__)
                return
            self._good_at = self._tried_at
            if keys != self._keys:
                self._keys = keys
                self.generation += 1

    async def _fetch(self) -> bytes:
        limit = self._settings.jwks_bytes_max
        if self._settings.jwks_file is not None:
            with self._settings.jwks_file.open("rb") as file:
                content = file.read(limit + 1)
        else:
            content = await self._download(str(self._settings.jwks_url), limit)
        if len(content) > limit:
            msg = f"the key set is longer than {limit} bytes"
            raise ValueError(msg)
        return content

    async def _download(self, url: str, limit: int) -> bytes:
        patience_s = self._settings.jwks_fetch_ms_max / 1_000
        content = bytearray()
        async with (
            asyncio.timeout(patience_s),
            httpx.AsyncClient(follow_redirects=False, timeout=patience_s) as client,
            client.stream("GET", url) as response,
        ):
            response.raise_for_status()
            async for part in response.aiter_bytes():
                content += part
                if len(content) > limit:
                    break
        return bytes(content)


def read_keys(content: bytes) -> dict[str, tuple[str, PublicKey]]:
    """The usable keys of a JWK set (RFC 7517) by id; others are left out.

    Raises:
        ValueError: No key set, or one without any usable key.
    """
    document = json.loads(content)
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > _KEYS_MAX:
        msg = f"no key set: `keys` must be a list of at most {_KEYS_MAX}"
        raise ValueError(msg)
    found = {}
    for entry in listed:
        usable = _read_key(entry) if isinstance(entry, dict) else None
        if usable is not None:
            found[str(entry["kid"])] = usable
    if not found:
        msg = "no RSA or P-256 signing key with a `kid` in the key set"
        raise ValueError(msg)
    return found


def _read_key(entry: dict[str, Any]) -> tuple[str, PublicKey] | None:
    if not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig":
        return None
    algorithm = {"RSA": "RS256", "EC": "ES256"}.get(str(entry.get("kty")))
    if algorithm is None or entry.get("alg", algorithm) != algorithm or "d" in entry:
        return None
    try:
        key = PyJWK(entry, algorithm).key
    except (PyJWTError, ValueError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size >= RSA_BITS_MIN:
        return algorithm, key
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return algorithm, key
    return None
