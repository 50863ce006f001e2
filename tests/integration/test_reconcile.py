"""Reconcile finds every single thing that does not add up, and nothing where all does."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from typer.testing import CliRunner

from gateway.spool import Spool
from gateway.spooled import SpooledReading
from gateway.wire.ids import new_id
from simulators.balance import Kind, Report
from simulators.cli import reconcile_app
from simulators.ledger import Ledger
from simulators.planned import Expected, PlannedReading, encode_line
from simulators.reconcile import reconcile
from tests.fix_db import Database

AT = datetime(2026, 11, 23, tzinfo=UTC)
GATEWAY = "gateway-1"

_READING = """
INSERT INTO reading (id, partition_at, content_hash, kind, centre_id, gateway_id, device_id,
    device_sequence, boot_id, measured_at, stored_record, captured_at, clock_synchronised,
    received_at, arrived_at, effective_at, time_suspect, setting, status)
VALUES (%(id)s, %(at)s, 1, 'glucose', 'centre-1', %(gateway)s, %(device)s, %(sequence)s, %(boot)s,
    NULL, false, %(at)s, true, %(at)s, %(at)s, %(at)s, false, 'office', '{}')"""
_DUPLICATE = """
INSERT INTO duplicate (id, duplicate_of, content_hash, gateway_id, received_at)
VALUES (%(id)s, %(of)s, 1, %(gateway)s, %(at)s)"""
_QUARANTINE = """
INSERT INTO quarantine (item_hash, reading_id, content_hash, settles, topic, gateway_id, reason,
    field, detail, payload, payload_bytes, received_at)
VALUES (%(hash)s, %(id)s, 1, %(settles)s, 't', %(gateway)s, 'implausible', '', '', %(payload)s, 1,
    %(at)s)"""
_DAY = """
INSERT INTO gateway_day (gateway_id, day, stored, duplicate, quarantined, unsettling)
VALUES (%(gateway)s, '2026-11-23', %(stored)s, %(duplicate)s, %(quarantined)s, %(unsettling)s)"""


@dataclass
class Scene:
    """Ten readings stored, one duplicate, two quarantined, three waiting: all in order."""

    folder: Path
    database: psycopg.Connection[tuple[object, ...]]
    dsn: str
    ids: list[UUID] = field(default_factory=lambda: [new_id(AT) for _ in range(16)])
    totals: dict[str, int] = field(
        default_factory=lambda: {
            "stored": 10,
            "duplicate": 1,
            "quarantined": 2,
            "unsettling": 0,
        }
    )
    answered: int = 16
    again: tuple[int, ...] = ()
    spool_extra: int = 0  # Readings the gateway counted beyond those sent.
    expected: dict[int, Expected] = field(default_factory=dict)
    twins: dict[int, str] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)

    def sent(self, index: int) -> PlannedReading:
        """What the terminal sent."""
        disposition = {10: Expected.DUPLICATE, 11: Expected.QUARANTINED, 12: Expected.QUARANTINED}
        sequence = 500 if index in self.twins else index  # Twins are one measurement.
        fields = {"device_id": "d", "boot_id": "b", "device_sequence": sequence}
        return PlannedReading(
            gateway_id=GATEWAY,
            device_id="d",
            card_number="SYN-1a0bb369",
            line=encode_line(fields),
            expected=self.expected.get(index, disposition.get(index, Expected.STORED)),
            twins=self.twins.get(index),
            reason=self.reasons.get(index),
        )

    def store(self, reading_id: UUID, sequence: int, at: datetime = AT) -> None:
        """Store it, as ingest would."""
        row = {"id": reading_id, "at": at, "gateway": GATEWAY, "device": "d", "boot": "b"}
        self.database.execute(_READING, row | {"sequence": sequence})

    def duplicate(self, reading_id: UUID, of: UUID) -> None:
        """Note a duplicate, as ingest would."""
        row = {"id": reading_id, "of": of, "gateway": GATEWAY, "at": AT}
        self.database.execute(_DUPLICATE, row)

    def quarantine(
        self, reading_id: UUID | None, payload: bytes = b"?", *, settles: bool = True
    ) -> None:
        """Quarantine it, as ingest would."""
        row = {
            "hash": sha256(payload + (reading_id.bytes if reading_id else b"")).digest(),
            "id": reading_id,
            "settles": settles,
            "gateway": GATEWAY,
            "payload": payload,
            "at": AT,
        }
        self.database.execute(_QUARANTINE, row)

    def build(self) -> None:
        """Write ledger, spool and rows; a test then breaks one of them."""
        with Ledger(self.folder / "ledger") as book:
            for index, reading_id in enumerate(self.ids):
                number = book.record_sent(self.sent(index), AT)
                if index in self.again:
                    book.record_again(number, AT)
                if index < self.answered:
                    book.record_taken(number, reading_id, AT)
        limits = {"rows_max": 1_000, "bytes_max": 1_000_000}
        with Spool(self.folder / "spool", gateway=GATEWAY, **limits) as spool:
            first, rest = self.ids[:13], self.ids[13:]
            first = first + [new_id(AT) for _ in range(self.spool_extra)]
            spool.put([SpooledReading(id_, AT, b"{}") for id_ in first])
            batch = spool.take_batch(new_id(AT), AT)
            assert batch is not None
            spool.confirm(batch.id, stored=10 + self.spool_extra, duplicate=1, quarantined=2)
            spool.put([SpooledReading(id_, AT, b"{}") for id_ in rest])
        for index in range(10):
            self.store(self.ids[index], index)
        self.duplicate(self.ids[10], of=self.ids[0])
        self.quarantine(self.ids[11])
        self.quarantine(self.ids[12])

    def count(self) -> None:
        """Keep the totals of the day."""
        self.database.execute(_DAY, self.totals | {"gateway": GATEWAY})

    def run(self) -> Report:
        """Reconcile."""
        self.count()
        return reconcile([self.folder / "ledger"], [self.folder / "spool"], self.dsn)


@pytest.fixture
def scene(database: Database, tmp_path: Path) -> Iterator[Scene]:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        yield Scene(tmp_path, connection, database.dsn)


def kinds(report: Report) -> list[tuple[Kind, int]]:
    return [(difference.kind, difference.count) for difference in report.differences]


def test_what_adds_up_is_conserved(scene: Scene) -> None:
    scene.build()
    report = scene.run()

    assert report.agrees
    assert report.conserved
    assert (report.sent, report.taken, report.echoes) == (16, 16, 0)
    (line,) = report.gateways
    assert line.accepted == line.known == 16
    assert (line.waiting, line.stored, line.duplicate, line.quarantined) == (3, 10, 1, 2)


def test_nothing_at_all_is_conserved(database: Database, tmp_path: Path) -> None:
    (tmp_path / "ledger").touch()

    assert reconcile([tmp_path / "ledger"], [], database.dsn).agrees


def test_a_stored_reading_that_waits_for_its_receipt_counts_once(scene: Scene) -> None:
    scene.build()
    scene.store(scene.ids[13], 13)
    scene.totals["stored"] = 11
    report = scene.run()

    assert report.agrees
    assert (report.gateways[0].waiting, report.gateways[0].stored) == (2, 11)


def test_a_lost_id_is_found(scene: Scene) -> None:
    scene.build()
    scene.database.execute("DELETE FROM reading WHERE id = %s", (scene.ids[4],))
    scene.totals["stored"] = 9
    report = scene.run()

    assert kinds(report) == [(Kind.LOST, 1), (Kind.COUNTER, 1)]
    assert report.differences[0].examples == [str(scene.ids[4])]
    assert not report.conserved


def test_one_lost_and_one_invented_id_do_not_cancel_out(scene: Scene) -> None:
    scene.build()
    scene.database.execute("DELETE FROM reading WHERE id = %s", (scene.ids[4],))
    scene.store(new_id(AT), 99)
    report = scene.run()

    assert sorted(kinds(report)) == [(Kind.LOST, 1), (Kind.UNKNOWN, 1)]


@pytest.mark.parametrize(
    ("double", "total"),
    [
        pytest.param(
            lambda scene: scene.quarantine(scene.ids[2], b"again"), "quarantined", id="quarantine"
        ),
        pytest.param(
            lambda scene: scene.duplicate(scene.ids[2], of=scene.ids[3]),
            "duplicate",
            id="duplicate",
        ),
        pytest.param(
            lambda scene: scene.store(scene.ids[2], 2, AT + timedelta(days=40)),
            "stored",
            id="twice",
        ),
    ],
)
def test_a_doubled_id_is_found(scene: Scene, double: Callable[[Scene], None], total: str) -> None:
    scene.build()
    double(scene)
    scene.totals[total] += 1
    report = scene.run()

    assert kinds(report) == [(Kind.DOUBLED, 1)]
    assert report.differences[0].examples == [str(scene.ids[2])]


def test_a_conflict_that_settles_nothing_is_beside_the_law(scene: Scene) -> None:
    scene.build()
    scene.quarantine(scene.ids[2], b"conflict", settles=False)
    scene.quarantine(None, b"no id", settles=False)
    scene.totals["unsettling"] += 2
    report = scene.run()

    assert report.agrees
    assert report.gateways[0].unsettling == 2


def test_a_wrong_disposition_is_found_and_breaks_no_law(scene: Scene) -> None:
    scene.expected = {3: Expected.REFUSED, 5: Expected.QUARANTINED, 11: Expected.STORED}
    scene.build()
    report = scene.run()

    assert kinds(report) == [(Kind.UNEXPECTED, 1)] * 3
    assert report.conserved
    assert not report.agrees
    wrong = {example for d in report.differences for example in d.examples}
    assert wrong == {str(scene.ids[index]) for index in scene.expected}


def test_a_reading_put_aside_for_another_reason_is_found(scene: Scene) -> None:
    scene.reasons = {11: "implausible", 12: "missing_unit"}
    scene.build()
    report = scene.run()

    (found,) = report.differences
    assert found.kind is Kind.UNEXPECTED
    assert found.examples == [str(scene.ids[12])]
    assert "not as missing_unit" in found.detail


def test_which_of_two_twins_is_the_duplicate_is_chance(scene: Scene) -> None:
    scene.expected = {10: Expected.STORED, 0: Expected.DUPLICATE}
    scene.twins = {0: "twins-0", 10: "twins-0"}
    scene.build()

    assert scene.run().agrees


def test_two_stored_twins_are_a_wrong_disposition(scene: Scene) -> None:
    scene.expected = {1: Expected.DUPLICATE}
    scene.twins = {0: "twins-0", 1: "twins-0"}
    scene.build()

    assert kinds(scene.run()) == [(Kind.UNEXPECTED, 1)]


@pytest.mark.parametrize("total", ["stored", "duplicate", "quarantined"])
@pytest.mark.parametrize("by", [-1, 1])
def test_a_kept_total_off_by_one_is_found(scene: Scene, total: str, by: int) -> None:
    scene.build()
    scene.totals[total] += by

    assert kinds(scene.run()) == [(Kind.TOTALS, 1)]


def test_a_gateway_that_accepted_one_more_is_found(scene: Scene) -> None:
    scene.spool_extra = 1
    scene.build()

    assert kinds(scene.run()) == [(Kind.COUNTER, 1)]


def test_a_row_of_nobody_is_found(scene: Scene) -> None:
    scene.build()
    scene.store(new_id(AT), 99)
    scene.totals["stored"] += 1

    assert kinds(scene.run()) == [(Kind.UNKNOWN, 1), (Kind.COUNTER, 1)]


def test_an_echo_of_a_lost_answer_is_no_difference(scene: Scene) -> None:
    scene.again, scene.spool_extra = (3,), 1
    scene.build()
    scene.duplicate(new_id(AT), of=scene.ids[3])
    scene.totals["duplicate"] += 1
    report = scene.run()

    assert report.agrees
    assert report.echoes == 1


def test_an_echo_may_be_the_one_that_is_stored(scene: Scene) -> None:
    scene.again, scene.spool_extra = (3,), 1
    scene.build()
    echo = new_id(AT)
    scene.database.execute("DELETE FROM reading WHERE id = %s", (scene.ids[3],))
    scene.store(echo, 3)
    scene.duplicate(scene.ids[3], of=echo)
    scene.totals["duplicate"] += 1

    assert scene.run().agrees


def test_one_lost_answer_excuses_one_echo_only(scene: Scene) -> None:
    scene.again, scene.spool_extra = (3,), 2
    scene.build()
    for _ in range(2):
        scene.duplicate(new_id(AT), of=scene.ids[3])
    scene.totals["duplicate"] += 2

    assert kinds(scene.run()) == [(Kind.UNKNOWN, 1)]


def test_a_lost_answer_excuses_no_other_reading(scene: Scene) -> None:
    scene.again, scene.spool_extra = (3,), 1
    scene.build()
    scene.duplicate(new_id(AT), of=scene.ids[4])
    scene.totals["duplicate"] += 1

    assert kinds(scene.run()) == [(Kind.UNKNOWN, 1)]


def test_an_unanswered_reading_that_was_quarantined_is_an_echo(scene: Scene) -> None:
    scene.answered = 15
    scene.ids = [*scene.ids[:15], new_id(AT)]
    scene.build()
    (scene.folder / "spool").unlink()
    scene.quarantine(scene.ids[13], b"{}")
    scene.store(scene.ids[14], 14)
    scene.quarantine(scene.ids[15], scene.sent(15).line)
    scene.totals |= {"stored": 11, "quarantined": 4}
    scene.count()
    report = reconcile([scene.folder / "ledger"], [], scene.dsn)

    assert kinds(report) == [(Kind.UNEXPECTED, 1)]  # Number 13: was foretold as stored.
    assert (report.echoes, report.unanswered) == (1, 1)


def test_without_its_spool_what_waits_counts_as_lost(scene: Scene) -> None:
    scene.build()
    scene.count()
    report = reconcile([scene.folder / "ledger"], [], scene.dsn)

    assert kinds(report) == [(Kind.LOST, 3)]


def test_one_id_for_two_readings_is_found(scene: Scene) -> None:
    scene.build()
    with (scene.folder / "ledger").open("a") as ledger:
        ledger.write(json.dumps({"taken": 1, "id": str(scene.ids[1])}) + "\n")
    report = scene.run()

    assert (Kind.DOUBLED, 1) in kinds(report)


@pytest.mark.parametrize("lose", [False, True])
def test_the_command_exits_1_on_any_difference(scene: Scene, *, lose: bool) -> None:
    scene.build()
    if lose:
        scene.database.execute("DELETE FROM reading WHERE id = %s", (scene.ids[4],))
    scene.count()
    arguments = ["--ledger", str(scene.folder / "ledger"), "--spool", str(scene.folder / "spool")]
    arguments += ["--database", scene.dsn]

    table = CliRunner().invoke(reconcile_app, arguments)
    as_json = CliRunner().invoke(reconcile_app, [*arguments, "--json"])

    assert table.exit_code == as_json.exit_code == int(lose)
    assert json.loads(as_json.stdout)["conserved"] is not lose
    assert (str(scene.ids[4]) in table.stdout) is lose
    assert ("NOT conserved" in table.stdout) is lose
