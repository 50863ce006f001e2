"""The folder of a server's secrets: made once, applied to the database and broker, rotated.

One file for each setting (``deploy.credentials`` reads them), the keys of names and of the audit
log's seals. Invariants: a
secret once made is replaced by ``rotate`` alone; applying twice changes nothing; a password stands
in a file of this folder, in the setting of who logs in with it, and nowhere else.
"""

import base64
import hashlib
import os
import secrets
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict

from deploy.embedded import logins, postgres
from ingest.db.keyring import add_key

OWNER_DSN: Final = "SUIFANG_DB_DSN"
BACKUP_DSN: Final = "SUIFANG_BACKUP_DSN"
LOGIN_DSNS: Final[Mapping[str, str]] = {
    "INGEST_DB_DSN": "ingest",
    "JUDGE_DB_DSN": "judge",
    "DISPATCHER_DB_DSN": "dispatcher",
    "NOTIFY_DB_DSN": "notify",
    "DELIVER_DB_DSN": "deliver",
    "API_DB_DSN": "api",
    "API_OPERATIONS__BACKTEST_DSN": "backtest",
    "MAINTENANCE_DB_DSN": "maintenance",
}
"""Which process logs in by which file."""
BROKER_PASSWORDS: Final[Mapping[str, str]] = {
    "INGEST_BROKER_PASSWORD": "ingest",
    "COMMAND_BROKER_PASSWORD": "operator",
    "PROBE_BROKER_PASSWORD": "probe",
}
"""Of which fixed user of the broker."""
DATABASE_PASSWORDS: Final[Mapping[str, str]] = {
    "POSTGRES_PASSWORD": "postgres",
    "OWNER_PASSWORD": postgres.OWNER,
    "BACKUP_PASSWORD": logins.BACKUP,
}
"""What only the database's administrator can set: bare passwords, for a container's start."""
KEYS: Final = ("names.key", "audit.key")
"""Key files (``suifang keys new``), for the account that reads them alone."""
OWN_DSNS: Final[Mapping[str, str]] = {
    OWNER_DSN: "OWNER_PASSWORD",
    BACKUP_DSN: "BACKUP_PASSWORD",
}
"""Of who changes their own password, and where it stands bare."""
_ROUNDS: Final = 101  # As mosquitto_passwd; the passwords are 192 random bits.


class CredentialFolderError(Exception):
    """The folder cannot be used as it is; its words say why and what to do."""


class CredentialFolder:
    """One folder. Cheap to make, holds no state."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def make(
        self, *, host: str, port: int, database: str, at: datetime, key_owner: int | None = None
    ) -> list[str]:
        """Make what is missing; returns what was made.

        Args:
            host: Of the database, as the processes reach it.
            port: The same.
            database: Its name.
            at: Names the keys.
            key_owner: Number of the account that reads the keys; None: as it is.
        """
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)  # Files are readable below: a container reads them as itself.
        made = [
            name
            for name in (*DATABASE_PASSWORDS, *BROKER_PASSWORDS)
            if self._write_new(name, secrets.token_urlsafe())
        ]
        for name, bare in OWN_DSNS.items():
            user, password = DATABASE_PASSWORDS[bare], self.read(bare)
            dsn = f"postgresql://{user}:{password}@{host}:{port}/{database}"
            made += [name] * self._write_new(name, dsn)
        for name, process in LOGIN_DSNS.items():
            user = logins.name_of(process)
            dsn = f"postgresql://{user}:{secrets.token_urlsafe()}@{host}:{port}/{database}"
            made += [name] * self._write_new(name, dsn)
        for key_name in KEYS:
            key = self.root / key_name
            if not key.exists():
                add_key(key, f"{at:%Y-%m-%d}")
                made.append(key_name)
            if key_owner is not None:
                os.chown(key, key_owner, -1)
        return made

    def read(self, name: str) -> str:
        """One secret. Raises ``CredentialFolderError``."""
        try:
            return (self.root / name).read_text("utf-8").strip()
        except OSError as error:
            msg = f"{self.root / name}: {error.strerror}; `suifang credentials make` makes it"
            raise CredentialFolderError(msg) from error

    def apply(self, owner_dsn: str | None = None) -> list[str]:
        """Make every process's login at the database, or set its password; returns them.

        Args:
            owner_dsn: Of the schema's owner; None: as the folder says.

        Raises:
            CredentialFolderError: The database does not let it, or is not migrated.
        """
        dsn = owner_dsn or self.read(OWNER_DSN)
        try:
            for name, process in LOGIN_DSNS.items():
                password = str(conninfo_to_dict(self.read(name)).get("password", ""))
                logins.make_login(dsn, postgres.OWNER, process, password)
        except psycopg.errors.UndefinedObject as error:
            msg = f"a role is missing ({_words(error)}): run `suifang migrate up` first"
            raise CredentialFolderError(msg) from error
        except psycopg.Error as error:
            msg = f"the database does not let it ({_words(error)})"
            raise CredentialFolderError(msg) from error
        return [logins.name_of(process) for process in LOGIN_DSNS.values()]

    def rotate(self, name: str) -> None:
        """Put a new password in place of one.

        The owner's and the backup's hold from then on, the others once they are applied.

        Raises:
            CredentialFolderError: It has no password that can be replaced so.
        """
        if name in OWN_DSNS:
            self._rotate_own(name)
        elif name in BROKER_PASSWORDS:
            self._replace(name, secrets.token_urlsafe())
        elif name in LOGIN_DSNS:
            self._replace(name, _with_password(self.read(name), secrets.token_urlsafe()))
        else:
            known = ", ".join([*OWN_DSNS, *LOGIN_DSNS, *BROKER_PASSWORDS])
            msg = f"{name!r} is not rotated here: one of {known}; docs/rotation.md has the others"
            raise CredentialFolderError(msg)

    def _rotate_own(self, name: str) -> None:
        """Have a login change its own password. Cut short anywhere, the same again ends it."""
        bare, fresh = OWN_DSNS[name], self.root / f".{name}.next"
        if not fresh.exists():
            self._replace(fresh.name, _with_password(self.read(name), secrets.token_urlsafe()))
        dsn = self.read(fresh.name)
        password = str(conninfo_to_dict(dsn)["password"])
        try:
            if not _is_let_in(dsn):
                logins.change_own_password(self.read(name), password)
        except psycopg.Error as error:
            msg = f"the database does not let it ({_words(error)}); nothing is changed"
            raise CredentialFolderError(msg) from error
        self._replace(bare, password)
        self._replace(name, dsn)
        fresh.unlink()

    def write_broker_users(self, passwords: Path) -> list[str]:
        """Write the fixed users into Mosquitto's password file; the others, gateways, stay.

        It is read at the broker's start, never by a signal (ADR 0006).
        """
        known = {}
        if passwords.exists():
            pairs = (line.partition(":") for line in passwords.read_text("utf-8").splitlines())
            known = {user: hashed for user, _, hashed in pairs if user}
        for name, user in BROKER_PASSWORDS.items():
            password = self.read(name)
            if not _is_hash_of(known.get(user, ""), password):
                known[user] = _hash(password, secrets.token_bytes(12))
        fresh = passwords.with_name(f".{passwords.name}.new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("".join(f"{user}:{known[user]}\n" for user in sorted(known)))
        if passwords.exists():
            found = passwords.stat()
            os.chown(fresh, found.st_uid, found.st_gid)
        fresh.replace(passwords)
        return sorted(BROKER_PASSWORDS.values())

    def _write_new(self, name: str, text: str) -> bool:
        if (self.root / name).exists():
            return False
        self._replace(name, text)
        return True

    def _replace(self, name: str, text: str) -> None:
        fresh = self.root / f".{name}.new"
        fresh.write_text(text + "\n", "utf-8")
        fresh.chmod(0o444)
        fresh.replace(self.root / name)


def _hash(password: str, salt: bytes) -> str:
    """As ``mosquitto_passwd`` writes it: PBKDF2 with SHA-512."""
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    parts = (base64.b64encode(each).decode("ascii") for each in (salt, digest))
    return f"$7${_ROUNDS}${'$'.join(parts)}"


def _is_hash_of(hashed: str, password: str) -> bool:
    parts = hashed.split("$")
    return len(parts) == 5 and _hash(password, base64.b64decode(parts[3])) == hashed  # noqa: PLR2004


def _with_password(dsn: str, password: str) -> str:
    """The same address with another password, of letters that a URL takes."""
    before = str(conninfo_to_dict(dsn).get("password", ""))
    fresh = dsn.replace(f":{before}@", f":{password}@", 1)
    if not before or fresh == dsn:
        msg = "the address has no password that can be replaced: postgresql://USER:PASSWORD@HOST/…"
        raise CredentialFolderError(msg)
    return fresh


def _is_let_in(dsn: str) -> bool:
    try:
        psycopg.connect(dsn, connect_timeout=5).close()
    except psycopg.OperationalError:
        return False
    return True


def _words(error: psycopg.Error) -> str:
    return " ".join(str(error).split())
