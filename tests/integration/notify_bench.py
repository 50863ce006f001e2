"""A notifier in this process, people to be told, and receivers of what it sends."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from pydantic import SecretStr

from api.notify.notifiers import Message, Notifier, NotSentError, Recipient
from api.notify.process import NotifyProcess
from api.notify.settings import NotifySettings
from gateway.wire.ids import new_id
from ingest.db import alerts, attention
from ingest.db.alerts import AlertRow
from ingest.db.attention import Attended, Entry
from ingest.db.connections import Connection, ProcessRole
from tests.builders import AT, enrol
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.roles import working_as

CREW: Final = {"d1": "doctor", "l1": "team_leader", "c1": "centre"}


@dataclass
class Recorder:
    """A channel that keeps what it is given; an adapter as docs/alerts.md describes it."""

    name: str = "recorder"
    fails: int = 0  # So many attempts fail first.
    refuses: set[str] = field(default_factory=set)  # Whose address is none.
    sent: list[tuple[datetime, Message]] = field(default_factory=list)

    def reaches(self, recipient: Recipient) -> bool:
        """Whoever has a phone."""
        return recipient.phone is not None

    async def send(self, message: Message, *, at: datetime) -> None:
        """Keep it."""
        if self.fails:
            self.fails -= 1
            msg = "not just now"
            raise NotSentError(msg)
        if message.recipient.staff_id in self.refuses:
            msg = "no such number"
            raise NotSentError(msg, final=True)
        self.sent.append((at, message))

    def take(self) -> list[tuple[str, str]]:
        """(Who, kind) of what was sent since."""
        found = [(message.recipient.staff_id, message.kind) for _, message in self.sent]
        self.sent.clear()
        return found


class NotifyBench:
    """Raises alerts, attends to them, lets the notifier work."""

    def __init__(
        self,
        connection: Connection,
        database: Database,
        clock: TestClock,
        channels: Sequence[Notifier],
        **settings: Any,  # noqa: ANN401 - settings are of any type
    ) -> None:
        self.connection = connection
        self.clock = clock
        settings = {"adapters": ("none:none",), **settings}
        self.settings = NotifySettings(db_dsn=SecretStr(database.dsn), **settings)
        self.process = NotifyProcess(self.settings, channels, clock)

    async def raise_alert(self, severity: str = "critical", **fields: Any) -> UUID:  # noqa: ANN401 - likewise
        """An alert of r-1 that pages, raised now."""
        anchor = new_id(self.clock.now)
        row = AlertRow(
            **{
                "id": anchor,
                "resident_id": "r-1",
                "centre_id": "east",
                "condition": "hypertension",
                "code": "BP_EMERGENCY",
                "severity": severity,
                "status": "active",
                "anchor_id": anchor,
                "effective_at": self.clock.now,
                "raised_at": self.clock.now,
                "due": None,
                "page": True,
                "late": False,
                "overdue_days": 0,
                "escalation": 0,
                "observed": "186/112 mmHg",
                "threshold": ">= 180/110 mmHg",
                "source": "x",
                "profile": "wuzhou",
                "profile_version": "1",
                "raised_by": "judge",
                "updated_at": self.clock.now,
                "anchor_kind": "reading",
                "explanation": None,
                **fields,
            }
        )
        await alerts.insert_new(self.connection, [row])
        return row.id

    async def change(self, alert: UUID, what: str) -> None:
        """As the judge changes an alert: an assignment of SQL."""
        await self.connection.execute(
            f"UPDATE alert SET {what}, updated_at = %s WHERE id = %s".encode(),  # noqa: S608 - the test's own words
            (self.clock.now, alert),
        )

    async def fetch(self, alert: UUID) -> Attended:
        """How it stands."""
        found = await attention.fetch(self.connection, alert, lock=False)
        assert found is not None
        return found

    async def acknowledge(self, alert: UUID) -> None:
        """Somebody has it."""
        entry = Entry(what="acknowledged", at=self.clock.now, author="d1", reason="contacted")
        await attention.acknowledge(self.connection, await self.fetch(alert), entry)

    async def snooze(self, alert: UUID, until: datetime) -> None:
        """Somebody puts it aside."""
        entry = Entry(what="snoozed", at=self.clock.now, author="d1", until=until)
        await attention.snooze(self.connection, await self.fetch(alert), entry)

    async def undo(self, alert: UUID) -> None:
        """It was a slip."""
        entry = Entry(what="acknowledgement_withdrawn", at=self.clock.now, author="d1")
        await attention.reopen(self.connection, await self.fetch(alert), entry)

    async def work(self, **span: float) -> None:
        """Let time pass, and the notifier work until nothing is left to do."""
        self.clock.pass_by(**span)
        async with working_as(self.connection, ProcessRole.NOTIFY):
            while await self.process.work(self.connection):
                pass

    async def await_rows(self, statement: str, *, some: bool) -> None:
        """Wait until a query has rows, or none."""
        while True:
            if bool(await self.rows(statement)) is some:
                return
            await asyncio.sleep(0.05)

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Run a query."""
        return await (await self.connection.execute(statement.encode())).fetchall()


async def hire(connection: Connection, duties: Mapping[str, str]) -> None:
    """Staff of team east-1 with a contact and one duty; no digest is due to them."""
    for id_, duty in duties.items():
        await connection.execute(
            "INSERT INTO staff (id, centre_id, role, since) VALUES (%s, 'east', 'doctor', %s)",
            (id_, AT.date()),
        )
        await connection.execute("INSERT INTO staff_team VALUES (%s, 'east-1')", (id_,))
        await connection.execute(
            "INSERT INTO staff_contact VALUES (%s, %s, '123456', %s, %s, 'x', %s)",
            (id_, f"{id_}@centre.example", [duty], AT, "2999-01-01"),
        )


async def a_crew(connection: Connection) -> None:
    """Resident r-1 in team east-1, with a doctor, a leader, and somebody at the centre."""
    await enrol(connection)
    await hire(connection, CREW)


@dataclass
class MailServer:
    """A mail server on a real socket. ``stall``: it takes a mail and never says so."""

    stall: bool = False
    refuse: bytes = b""
    mails: list[str] = field(default_factory=list)
    port: int = 0
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection. Source: RFC 5321, as much as one mail needs."""
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                text = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append(text.decode())
                self.came.set()
                if self.stall:
                    await reader.read()
                    break
                writer.write(b"250 taken\r\n")
            elif verb == b"RCPT" and self.refuse:
                writer.write(self.refuse + b"\r\n")
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()


@asynccontextmanager
async def a_mail_server(**how: Any) -> AsyncIterator[MailServer]:  # noqa: ANN401 - as above
    """On a free port of this machine."""
    found = MailServer(**how)
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
