"""The folder of the deployment's authority: its certificate, its key, what it signed for servers.

Whoever reads the key can become any gateway. Invariants: every secret is a file of mode 0600 in a
folder of mode 0700, written whole or not at all; an authority that is there is never replaced; what
is signed here is written down in ``issued.jsonl`` before anybody gets it (gateways' certificates
are in the database).
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from api.enrolment.authority import (
    AUTHORITY_DAYS,
    CURVE,
    OPERATOR_DAYS,
    SERVER_DAYS,
    Authority,
    AuthorityError,
    fingerprint,
    to_pem,
)
from api.enrolment.files import load_authority
from deploy.embedded.folders import write_private

CERTIFICATE: Final = "ca.pem"
KEY: Final = "ca.key"
_ISSUED: Final = "issued.jsonl"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate and its key, as text."""

    certificate: str
    key: str


class AuthorityFolder:
    """One authority on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / CERTIFICATE
        self.key = folder / KEY

    @property
    def exists(self) -> bool:
        """Whether an authority was made here, to the end."""
        return self.certificate.exists()

    def make(self, name: str, *, at: datetime, days: int = AUTHORITY_DAYS) -> Authority:
        """Make an authority here.

        Interrupted, it leaves a key without a certificate; the next run starts afresh.

        Raises:
            AuthorityError: There is one already.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.exists:
            msg = f"{self.certificate} is there already and gateways may trust it: nothing was done"
            raise AuthorityError(msg)
        made = Authority.make(name, at=at, days=days)
        write_private(self.key, made.key_pem().decode())
        write_private(self.certificate, made.certificate_pem)
        return made

    def load(self) -> Authority:
        """The authority that was made here.

        Raises:
            AuthorityError: There is none, or others may read its key.
        """
        return load_authority(self.certificate, self.key)

    def make_server(
        self, names: Sequence[str], *, at: datetime, days: int = SERVER_DAYS
    ) -> KeyPair:
        """A key pair and a certificate for a server with these names; both are the caller's.

        Raises:
            AuthorityError: There is no authority, or a name cannot be used.
        """
        key = ec.generate_private_key(CURVE())
        signed = self.load().sign_server(names, key.public_key(), at=at, days=days)
        self._write_down("server", names, signed, at)
        return KeyPair(to_pem(signed), _to_pem(key))

    def make_operator(self, *, at: datetime, days: int = OPERATOR_DAYS) -> KeyPair:
        """A key pair and a certificate for who sends commands over TLS.

        Raises:
            AuthorityError: There is no authority.
        """
        key = ec.generate_private_key(CURVE())
        signed = self.load().sign_operator(key.public_key(), at=at, days=days)
        self._write_down("operator", (), signed, at)
        return KeyPair(to_pem(signed), _to_pem(key))

    def list_issued(self) -> list[dict[str, object]]:
        """Every certificate that was ever signed here, oldest first."""
        try:
            lines = (self.folder / _ISSUED).read_text("utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def _write_down(
        self, purpose: str, names: Sequence[str], signed: x509.Certificate, at: datetime
    ) -> None:
        said = {
            "serial": f"{signed.serial_number:x}",
            "purpose": purpose,
            "names": list(names),
            "issued_at": at.isoformat(),
            "expires_at": signed.not_valid_after_utc.isoformat(),
            "fingerprint": fingerprint(signed).hex(),
        }
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
        descriptor = os.open(self.folder / _ISSUED, flags, 0o600)
        try:
            os.write(descriptor, json.dumps(said, ensure_ascii=False).encode() + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _to_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
