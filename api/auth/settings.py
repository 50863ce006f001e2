"""Settings of authentication: which issuer is believed, and how long anything is remembered."""

from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

_REMEMBERED_MAX: Final = 2_000  # Addresses.
EMBEDDED_ISSUER: Final = "urn:suifang:embedded"
"""Issuer of the private stack's tokens. Its key lies beside the stack: good on loopback only."""


@lru_cache(maxsize=_REMEMBERED_MAX)  # Asked of each request, twice: an address is 5 µs to read.
def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


class AuthSettings(BaseModel):
    """``API_AUTH__ISSUER``, ``API_AUTH__JWKS_URL``, ... Without an issuer only API keys are good.

    Claim names may be dotted: ``realm_access.roles``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str | None = None  # Exactly the token's `iss`.
    audience: str = "suifang"
    jwks_url: str | None = None
    jwks_file: Path | None = None
    roles_claim: str = "roles"
    teams_claim: str = "teams"
    centres_claim: str = "centres"
    clock_skew_s: Annotated[int, Field(ge=0, le=300)] = (
        60  # Source: RFC 7519, 4.1.4: "a few minutes".
    )
    token_s_max: PositiveInt = 86_400  # A token that lives longer is refused: it cannot be revoked.
    token_bytes_max: PositiveInt = 8_192
    jwks_bytes_max: PositiveInt = 262_144
    jwks_fetch_ms_max: PositiveInt = 3_000
    jwks_fresh_s: PositiveInt = 600  # Then it is fetched again, which ends keys taken back.
    jwks_stale_s_max: PositiveInt = 43_200  # While the issuer is away, known keys are good so long.
    jwks_pause_s: PositiveInt = 10  # Between two fetches, whatever keys are asked for.
    remembered_max: PositiveInt = 10_000  # Checked credentials.
    key_remembered_s: PositiveInt = 10  # How long a revoked API key may still be good.

    @model_validator(mode="after")
    def _issuer_and_its_keys_come_together(self) -> Self:
        sources = [s for s in (self.jwks_url, self.jwks_file) if s is not None]
        if len(sources) != (self.issuer is not None):
            msg = (
                "API_AUTH__ISSUER needs API_AUTH__JWKS_URL or API_AUTH__JWKS_FILE, one of them, "
                "and neither makes sense without it"
            )
            raise ValueError(msg)
        if self.jwks_url is not None:
            parts = urlsplit(self.jwks_url)
            plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
            if not parts.hostname or parts.username or not (parts.scheme == "https" or plain):
                msg = "API_AUTH__JWKS_URL must begin with https:// and hold no password"
                raise ValueError(msg)
        return self
