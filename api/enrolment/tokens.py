"""One-time tokens: made by an operator, typed in at a box, known to the server by a hash only."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from gateway.wire.enrolment import TOKEN_PATTERN

_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32  # 256 bits: a plain hash is as good as a slow one, guessing is hopeless.
_NOBODY_S: Final = hashlib.sha256(secrets.token_bytes(_SECRET_BYTES)).digest()


@dataclass(frozen=True, slots=True)
class Token:
    """A token in its two parts. ``str`` of it is what the box gets: a secret."""

    id: str
    secret: str = field(repr=False)

    @classmethod
    def make(cls) -> "Token":
        """A new one."""
        return cls(secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> "Token | None":
        """A token as it was typed in; None: that is none."""
        if not re.fullmatch(TOKEN_PATTERN, text, re.ASCII):
            return None
        _, number, secret = text.split("-", 2)
        return cls(number, secret)

    def __str__(self) -> str:
        return f"sfe-{self.id}-{self.secret}"

    @property
    def secret_hash(self) -> bytes:
        """What the server keeps of it, 32 bytes."""
        return hashlib.sha256(self.secret.encode()).digest()

    def matches(self, secret_hash: bytes | None) -> bool:
        """Whether it is the one of that hash; None, for nobody's, takes just as long."""
        same = hmac.compare_digest(self.secret_hash, secret_hash or _NOBODY_S)
        return same and secret_hash is not None
