"""The issuer of the private stack: signs tokens for the demo, the tests and whoever tries it out.

It must never be believed anywhere else: its key lies in a file beside the stack, and the API
takes its issuer on loopback only. Invariants: it works where a private stack is, and nowhere
else; the key is made once, P-256, mode 0600; a token lives a day at most.
"""

import json
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from api.auth.permissions import Role
from api.auth.settings import EMBEDDED_ISSUER, AuthSettings
from deploy.embedded.errors import NotReadyError, StateError
from deploy.embedded.folders import hold_lock, recall_layout, require_ours, write_private

LIFETIME_MAX: Final = timedelta(hours=24)


class Issuer:
    """Keys and tokens of the stack below ``home``."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / "issuer"

    def environment(self) -> dict[str, str]:
        """Settings that make an API believe this issuer; makes the key when there is none."""
        self._require_key()
        return {
            "API_AUTH__ISSUER": EMBEDDED_ISSUER,
            "API_AUTH__JWKS_FILE": str(self._folder / "jwks.json"),
        }

    def issue(
        self,
        *,
        subject: str,
        roles: Collection[Role],
        teams: Collection[str] = (),
        centres: Collection[str] = (),
        at: datetime,
        lifetime: timedelta = timedelta(hours=1),
    ) -> str:
        """A signed token.

        Raises:
            NotReadyError: There is no private stack here.
            ValueError: The lifetime is above a day, or not above nothing.
        """
        if not timedelta() < lifetime <= LIFETIME_MAX:
            msg = "a token lives between a second and a day"
            raise ValueError(msg)
        pem = self._require_key()
        claims: dict[str, Any] = {
            "iss": EMBEDDED_ISSUER,
            "aud": AuthSettings().audience,
            "sub": subject,
            "iat": int(at.timestamp()),
            "exp": int((at + lifetime).timestamp()),
            "jti": secrets.token_hex(8),
            "roles": sorted(str(role) for role in roles),
            "teams": sorted(teams),
            "centres": sorted(centres),
        }
        key_id = json.loads((self._folder / "jwks.json").read_text("ascii"))["keys"][0]["kid"]
        return jwt.encode(claims, pem, algorithm="ES256", headers={"kid": key_id, "typ": "at+jwt"})

    def _require_key(self) -> str:
        layout = recall_layout(self._home)
        if layout is None:
            what = f"There is no private stack in {self._home}, so no issuer for it"
            raise NotReadyError(what)
        private = self._folder / "key.pem"
        with hold_lock(self._home / "issuer.lock", lambda _: None):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            require_ours(self._folder)
            if not (self._folder / "jwks.json").exists():
                self._make_key(private)
        try:
            return private.read_text("ascii")
        except OSError as error:
            msg = f"{private} cannot be read; remove {self._folder} for a new key"
            raise StateError(msg) from error

    def _make_key(self, private: Path) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True)
        marked = {**public, "kid": secrets.token_hex(8), "use": "sig", "alg": "ES256"}
        write_private(private, pem.decode("ascii"))
        write_private(self._folder / "jwks.json", json.dumps({"keys": [marked]}))
