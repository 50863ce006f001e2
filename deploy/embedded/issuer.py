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

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from api.auth.permissions import Role
from api.auth.settings import EMBEDDED_ISSUER
from api.auth.signing import Bearer, SigningKey
from deploy.embedded.errors import NotReadyError, StateError
from deploy.embedded.folders import hold_lock, recall_layout, require_ours, write_private


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

    def console_environment(self, people: Collection[Bearer]) -> dict[str, str]:
        """Settings that have an API's console offer these people on its sign-in page."""
        self._require_key()
        listed = [
            {
                "subject": each.subject,
                "roles": sorted(str(role) for role in each.roles),
                "teams": sorted(each.teams),
                "centres": sorted(each.centres),
            }
            for each in people
        ]
        offered = self._folder / "people.json"
        write_private(offered, json.dumps(listed, ensure_ascii=False))
        return {
            "API_CONSOLE__PEOPLE_FILE": str(offered),
            "API_CONSOLE__SIGNING_KEY_FILE": str(self._folder / "key.pem"),
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
        pem = self._require_key()
        key_id = json.loads((self._folder / "jwks.json").read_text("ascii"))["keys"][0]["kid"]
        bearer = Bearer(subject=subject, roles=roles, teams=teams, centres=centres)
        return SigningKey(pem=pem, key_id=key_id).sign(bearer, at=at, lifetime=lifetime)

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
