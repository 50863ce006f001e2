"""The private Mosquitto: its files, its users, its process.

Invariants: nobody comes in without a password, or on the TLS listener without a certificate of the
stack's own authority; passwords are stored hashed; a change of users is
read at a restart, never by a signal (see ``set_users``). Users are never taken away by a restart.
"""

import re
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

from deploy.embedded.binaries import BrokerBinaries
from deploy.embedded.broker_tls import BrokerTls
from deploy.embedded.errors import ServiceError, StackError
from deploy.embedded.folders import Layout, make_folder, write_private
from deploy.embedded.ports import LOOPBACK
from deploy.embedded.processes import (
    Identity,
    is_alive,
    read_record,
    run_as,
    spawn,
    stop,
    tail,
)

NAME: Final = "broker"
FIXED_USERS: Final = ("ingest", "operator", "probe")  # In the access rules; no gateway may be.
_SHIPPED: Final = Path(__file__).parents[1] / "mosquitto"
_USER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_LOG_BYTES_MAX: Final = 10_000_000
_HASH_S_MAX: Final = 60.0
_START_S_MAX: Final = 60.0  # It reads its whole store first.
_RELOAD_S_MAX: Final = 10.0
_PASSWORD_CHARACTERS_MAX: Final = 1_000
_HELLO_S_MAX: Final = 1.0
_CONNACK: Final = 0x20
_ACCEPTED: Final = 0
_STOP: Final = ((signal.SIGTERM, 60.0), (signal.SIGKILL, 5.0))  # It writes its whole store.


class Broker:
    """One broker and its files. Call what changes it with the stack's lock held."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._folder = layout.root / NAME
        self._conf = self._folder / "conf"
        self.data = self._folder / "data"
        self.log = self._folder / "log" / "mosquitto.log"
        self._console = self._folder / "log" / "console.log"
        self._record = layout.records / f"{NAME}.record"
        self._passwords = self._conf / "passwords"
        self.tls = BrokerTls(layout, self._conf / "tls")

    @property
    def identity(self) -> Identity | None:
        """The broker process; None when it does not run."""
        found = read_record(self._record)
        return found if is_alive(found) else None

    def make(self, at: datetime) -> None:
        """Make the folders and what TLS needs, unless they are there."""
        account = self._layout.account
        for folder in (self._folder, self._conf):
            make_folder(folder, account, passable=True)
        # The broker lists "shared", and its password program writes in "hashing".
        for folder in (self.data, self.log.parent, self._conf / "shared", self._conf / "hashing"):
            make_folder(folder, account, services=True)
        self.tls.make(at)

    def launch(self, binaries: BrokerBinaries, port: int, tls_port: int) -> None:
        """Write the configuration and start; ``wait_ready`` says when it answers."""
        account = self._layout.account
        for name, file in (
            ("mosquitto.conf", self._conf / "shared" / "mosquitto.conf"),
            ("acl", self._conf / "acl"),
        ):
            write_private(file, (_SHIPPED / name).read_text("utf-8"), account)
        if not self._passwords.exists():
            write_private(self._passwords, "", account)
        own = self._conf / "mosquitto.conf"
        write_private(own, self._own_part(port) + self.tls.describe_listener(tls_port), account)
        self._shorten_log()
        spawn(
            NAME,
            [binaries.server, "-c", own],
            record=self._record,
            log=self._console,
            account=account,
        )

    def wait_ready(self, port: int) -> bool:
        """Wait until the broker answers. False when it ended instead (port taken).

        Raises:
            ServiceError: It runs but does not answer in time.
        """
        deadline = time.monotonic() + _START_S_MAX
        while time.monotonic() < deadline:
            if self.identity is None:
                return False
            if _knock(port) is not None and self.identity is not None:
                return True
            time.sleep(0.02)
        raise ServiceError(NAME, "does not answer", self.log, tail(self.log) or tail(self._console))

    def set_users(self, passwords: Mapping[str, str], binaries: BrokerBinaries) -> bool:
        """Write users or new passwords, all in one go; the others stay.

        The broker reads them at its start. It must never be told by SIGHUP: 2.0.21 then says of
        sessions whose client is away that they disconnected, and some time later expires
        healthy clients again and again (ADR 0006).

        Args:
            passwords: By user name.
            binaries: Whose password program is used.

        Returns:
            Whether anything was written.

        Raises:
            StackError: A name or a password cannot be written to the password file.
        """
        for user, password in passwords.items():
            if (
                not _USER.fullmatch(user)
                or not 0 < len(password) <= _PASSWORD_CHARACTERS_MAX
                or not password.isprintable()
            ):
                msg = f"Not a usable broker user or password: {user!r}. Use letters, digits, . _ -"
                raise StackError(msg)
        if not passwords:
            return False
        known = self._read_users() | self._hash(passwords, binaries)
        text = "".join(f"{user}:{hashed}\n" for user, hashed in sorted(known.items()))
        write_private(self._passwords, text, self._layout.account)
        return True

    def users(self) -> frozenset[str]:
        """Who has a password."""
        return frozenset(self._read_users())

    def stop(self) -> None:
        """Stop the broker; it writes its store. Nothing happens when it does not run."""
        found = self.identity
        if found is not None and not stop(found, _STOP):
            raise ServiceError(NAME, "does not stop", self.log, tail(self.log))

    def newest_log(self) -> Path:
        """The log written to last."""
        return self.log if self.log.exists() else self._console

    def why(self) -> str:
        """The last lines of what it wrote, for an error message."""
        return tail(self._console) or tail(self.log)

    def _own_part(self, port: int) -> str:
        return (
            "# Written by `suifang stack`; change deploy/mosquitto/mosquitto.conf instead.\n"
            f"listener {port} {LOOPBACK}\n"
            "max_connections 10000\n"
            f"persistence_location {self.data}/\n"
            f"password_file {self._passwords}\n"
            f"acl_file {self._conf / 'acl'}\n"
            f"log_dest file {self.log}\n"
            f"include_dir {self._conf / 'shared'}\n"
        )

    def _read_users(self) -> dict[str, str]:
        try:
            lines = self._passwords.read_text("utf-8").splitlines()
        except FileNotFoundError:
            return {}
        pairs = (line.partition(":") for line in lines if ":" in line)
        return {user: hashed for user, _, hashed in pairs}

    def _hash(self, passwords: Mapping[str, str], binaries: BrokerBinaries) -> dict[str, str]:
        """Hash with the broker's own program: one run for all, nothing on a command line."""
        account = self._layout.account
        folder = self._conf / "hashing"  # The program writes a copy beside its file.
        _empty(folder)
        file = folder / f"users-{secrets.token_hex(4)}"
        text = "".join(f"{user}:{password}\n" for user, password in passwords.items())
        write_private(file, text, account)
        try:
            answer = run_as(account, [binaries.passwd, "-U", file], timeout_s=_HASH_S_MAX)
            pairs = [line.partition(":") for line in file.read_text("utf-8").splitlines()]
        except subprocess.TimeoutExpired as error:
            raise ServiceError(NAME, "cannot hash passwords in time", self.log) from error
        finally:
            _empty(folder)
        hashed = {user: value for user, _, value in pairs if value.startswith("$")}
        if answer.returncode != 0 or hashed.keys() != passwords.keys():
            raise ServiceError(NAME, "cannot hash passwords", self.log, answer.stderr.strip())
        return hashed

    def _shorten_log(self) -> None:
        """Keep this log and one before it; whoever calls makes the broker open it again."""
        for log in (self.log, self._console):
            if log.exists() and log.stat().st_size > _LOG_BYTES_MAX:
                log.replace(log.with_suffix(".log.1"))


def _empty(folder: Path) -> None:
    for remains in folder.iterdir():
        remains.unlink(missing_ok=True)


def _knock(port: int, user: str = "", password: str = "") -> int | None:
    """Connect once with MQTT 3.1.1: the broker's answer code, or None when no broker answers.

    Without a user it is refused, which is enough to know that a broker is at work there, past
    opening its listeners.
    """
    fields = [b"", user.encode(), password.encode()] if user else [b""]
    flags = 0xC2 if user else 0x02  # Clean session, and whether a user and a password follow.
    rest = b"\x00\x04MQTT\x04" + bytes([flags]) + b"\x00\x05"
    rest += b"".join(len(each).to_bytes(2, "big") + each for each in fields)
    length = bytes([len(rest) % 128 | 128, len(rest) // 128])  # Two bytes are always allowed.
    try:
        with socket.create_connection((LOOPBACK, port), _HELLO_S_MAX) as stream:
            stream.sendall(b"\x10" + length + rest)
            answer = stream.recv(4)
    except OSError:
        return None
    return answer[3] if len(answer) == 4 and answer[0] == _CONNACK else None  # noqa: PLR2004
