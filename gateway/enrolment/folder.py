"""The folder of a gateway's identity: key, certificate, and whom it trusts.

    identity.pem   the key and its certificate in one file, so that both change at once
    ca.pem         the authority that signed it, by which the broker is known, too
    pending.pem    a key whose certificate has not come yet
    api.json       where certificates are given; api-ca.pem, if that is no public authority's

Invariants: a file is whole or absent, mode 0600, and on the disk before the next step; a key is
never written anywhere else, sent or logged. Cut short anywhere, the same command goes on.
"""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from gateway.errors import EnrolmentError, SettingsError
from gateway.wire.enrolment import RENEW_PART_LEFT

_HEAD: Final = re.compile(r"(?m)^(gateway|centre|serial|valid from|valid until): (\S+)$")
_WRITABLE_BY_OTHERS: Final = 0o022


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Whose certificate it is and how long it holds. Holds no secret."""

    gateway_id: str
    centre_id: str
    serial: str
    valid_from: datetime
    valid_until: datetime

    @property
    def renewal_due(self) -> datetime:
        """From when on it should be renewed: a third of its life is left."""
        return self.valid_until - (self.valid_until - self.valid_from) / RENEW_PART_LEFT

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return {
            "gateway": self.gateway_id,
            "centre": self.centre_id,
            "serial": self.serial,
            "valid_from": self.valid_from.isoformat(),
            "valid_until": self.valid_until.isoformat(),
            "renewal_due": self.renewal_due.isoformat(),
        }


class IdentityFolder:
    """One gateway's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.identity_file = path / "identity.pem"
        self.authority_file = path / "ca.pem"
        self.api_authority_file = path / "api-ca.pem"
        self._pending = path / "pending.pem"
        self._api = path / "api.json"

    def make(self) -> None:
        """Make the folder, 0700, or look at the one that is there.

        Raises:
            EnrolmentError: It cannot be made, or others may write to it.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            mode = self.path.stat().st_mode
        except OSError as error:
            msg = f"the folder {self.path} cannot be made: {error.strerror}"
            raise EnrolmentError(msg) from error
        if mode & _WRITABLE_BY_OTHERS:
            msg = f"others may write to {self.path}. Run: chmod 700 {self.path}"
            raise EnrolmentError(msg)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let one process at a time change it; the kernel frees the lock of a killed one.

        Raises:
            EnrolmentError: Another one holds it.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self.path / ".lock", flags, 0o600)
        except OSError as error:
            msg = (
                f"{self.path} cannot be used: {error.strerror}. Enrol first: suifang gateway enroll"
            )
            raise EnrolmentError(msg) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            msg = f"another process is changing {self.path}; let it finish, then run again"
            raise EnrolmentError(msg) from error
        finally:
            os.close(descriptor)

    def read(self) -> Identity | None:
        """What the certificate says of itself; None before the first one, or of a foreign file."""
        try:
            text = self.identity_file.read_text("ascii")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            msg = f"the gateway's identity {self.identity_file} cannot be read: {error}"
            raise EnrolmentError(msg) from error
        head = dict(_HEAD.findall(text.partition("-----BEGIN")[0]))
        try:
            return Identity(
                gateway_id=head["gateway"],
                centre_id=head["centre"],
                serial=head["serial"],
                valid_from=datetime.fromisoformat(head["valid from"]),
                valid_until=datetime.fromisoformat(head["valid until"]),
            )
        except (KeyError, ValueError):
            return None

    def read_secret(self) -> bytes:
        """The identity's file: key and certificate."""
        return self.identity_file.read_bytes()

    def write_identity(self, identity: Identity, certificate: str, key: str, chain: str) -> None:
        """Put a new identity in force: from the moment its file is there."""
        self._write(self.authority_file, chain)
        head = (
            "Identity of a Suifang gateway. Secret: never copy it to another machine.\n"
            f"gateway: {identity.gateway_id}\ncentre: {identity.centre_id}\n"
            f"serial: {identity.serial}\nvalid from: {identity.valid_from.isoformat()}\n"
            f"valid until: {identity.valid_until.isoformat()}\n"
        )
        self._write(self.identity_file, head + key + certificate)
        self.forget_pending()

    def read_pending(self) -> str | None:
        """The key whose certificate has not come yet."""
        try:
            return self._pending.read_text("ascii")
        except FileNotFoundError:
            return None

    def write_pending(self, key: str) -> None:
        """Keep a key before anybody hears of it."""
        self._write(self._pending, key)

    def forget_pending(self) -> None:
        """Its certificate has come, or never will."""
        self._pending.unlink(missing_ok=True)
        self._sync()

    def read_api(self) -> tuple[str, Path | None]:
        """Where certificates are given, and whom to trust there; None: public authorities.

        Raises:
            EnrolmentError: This folder was made by nobody's enrolment.
        """
        try:
            found: dict[str, Any] = json.loads(self._api.read_text("utf-8"))
            address = str(found["api"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            msg = f"{self._api} cannot be read. Enrol this box: suifang gateway enroll"
            raise EnrolmentError(msg) from error
        return address, self.api_authority_file if self.api_authority_file.exists() else None

    def write_api(self, address: str, authority: str | None) -> None:
        """Remember where to renew."""
        if authority is None:
            self.api_authority_file.unlink(missing_ok=True)
        else:
            self._write(self.api_authority_file, authority)
        self._write(self._api, json.dumps({"api": address}) + "\n")

    def require_owner(self, gateway_id: str, centre_id: str) -> None:
        """Refuse the identity of another gateway.

        Raises:
            SettingsError: It is another one's.
        """
        found = self.read()
        if found is not None and (found.gateway_id, found.centre_id) != (gateway_id, centre_id):
            msg = (
                f"{self.path} is the identity of {found.gateway_id} in centre {found.centre_id},"
                f" not of {gateway_id} in {centre_id}: set GATEWAY_ID and GATEWAY_CENTRE to these,"
                " or enrol this box in a folder of its own"
            )
            raise SettingsError(msg)

    def _write(self, file: Path, text: str) -> None:
        fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            with os.fdopen(os.open(fresh, flags, 0o600), "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(file)
            self._sync()
        except OSError as error:
            msg = (
                f"{file} cannot be written: {error.strerror}. Mend that, then run the command again"
            )
            raise EnrolmentError(msg) from error
        finally:
            fresh.unlink(missing_ok=True)

    def _sync(self) -> None:
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
