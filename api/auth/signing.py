"""Makes a token of the embedded issuer: for ``suifang token``, the demo and its console.

It must never sign for another issuer: whoever runs a deployment has an issuer of their own, whose
key no program of ours ever sees. Invariant: a token lives a day at most.
"""

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import jwt

from api.auth.permissions import Role
from api.auth.settings import EMBEDDED_ISSUER, AuthSettings

LIFETIME_MAX: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Whom a token is for."""

    subject: str
    roles: Collection[Role]
    teams: Collection[str] = ()
    centres: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A P-256 key as PEM, and the name under which its public half is published."""

    pem: str
    key_id: str

    def sign(self, bearer: Bearer, *, at: datetime, lifetime: timedelta) -> str:
        """A token good from ``at`` on. Raises ``ValueError`` for a lifetime beyond a day."""
        if not timedelta() < lifetime <= LIFETIME_MAX:
            msg = "a token lives between a second and a day"
            raise ValueError(msg)
        claims: dict[str, Any] = {
            "iss": EMBEDDED_ISSUER,
            "aud": AuthSettings().audience,
            "sub": bearer.subject,
            "iat": int(at.timestamp()),
            "exp": int((at + lifetime).timestamp()),
            "jti": secrets.token_hex(8),
            "roles": sorted(str(role) for role in bearer.roles),
            "teams": sorted(bearer.teams),
            "centres": sorted(bearer.centres),
        }
        headers = {"kid": self.key_id, "typ": "at+jwt"}
        return jwt.encode(claims, self.pem, algorithm="ES256", headers=headers)
