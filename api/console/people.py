"""The people whom the private stack's sign-in page offers: a doctor, a leader, an operator.

It must never exist beside another issuer (``ApiSettings`` refuses that), nor off loopback. Read
once, at the start.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from api.auth.permissions import Role
from api.auth.signing import Bearer, SigningKey
from api.settings import ApiSettings


@dataclass(frozen=True, slots=True)
class People:
    """Whom one can be here, and what signs for them. Empty anywhere else than in the stack."""

    settings: ApiSettings
    offered: tuple[Bearer, ...]
    key: SigningKey | None

    def sign_in(self, subject: str, *, at: datetime) -> str | None:
        """A token for one of them; None: there is nobody of this name."""
        for each in self.offered:
            if self.key is not None and each.subject == subject:
                return self.key.sign(each, at=at, lifetime=self.settings.console.session)
        return None


def read_people(settings: ApiSettings) -> People:
    """Read the files that the settings name, if any.

    Raises:
        OSError: One cannot be read.
        ValueError: One is not what the stack writes.
    """
    console, keys = settings.console, settings.auth.jwks_file
    if console.people_file is None or console.signing_key_file is None or keys is None:
        return People(settings, (), None)
    listed = json.loads(console.people_file.read_text("utf-8"))
    offered = tuple(
        Bearer(
            subject=str(each["subject"]),
            roles=frozenset(Role(role) for role in each["roles"]),
            teams=frozenset(each["teams"]),
            centres=frozenset(each["centres"]),
        )
        for each in listed
    )
    return People(settings, offered, _read_key(console.signing_key_file, keys))


def _read_key(private: Path, public: Path) -> SigningKey:
    key_id = str(json.loads(public.read_text("ascii"))["keys"][0]["kid"])
    return SigningKey(pem=private.read_text("ascii"), key_id=key_id)
