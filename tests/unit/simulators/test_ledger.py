"""The ledger survives a kill: only its last line can be torn, and nothing sent is missing."""

import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from simulators.errors import LedgerError
from simulators.ledger import Ledger, delivery_of, read_ledger
from simulators.planned import Expected, Numeral, PlannedReading, encode_line

AT = datetime(2026, 11, 23, tzinfo=UTC)
READING_ID = UUID("01900000-0000-7000-8000-000000000001")


def a_reading(sequence: int = 1, **fields: object) -> PlannedReading:
    return PlannedReading(
        gateway_id="gateway-1",
        device_id="d",
        card_number="SYN-1a0bb369",
        line=encode_line({"device_id": "d", "boot_id": "b", "device_sequence": sequence} | fields),
        expected=Expected.STORED,
        twins="twins-1",
    )


def test_what_was_sent_is_read_back(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as book:
        taken = book.record_sent(a_reading(1), AT)
        refused = book.record_sent(a_reading(2), AT)
        lost = book.record_sent(a_reading(3), AT)
        book.record_again(lost, AT)
        book.record_taken(taken, READING_ID, AT)
        book.record_refused(refused, "too_large", AT)

    first, second, third = read_ledger(tmp_path / "ledger")
    assert (first.reading_id, first.expected, first.twins) == (READING_ID, "stored", "twins-1")
    assert (first.delivery, first.answers_lost) == (("d", "b", 1), 0)
    assert (second.refused, second.answers_lost) == ("too_large", 0)
    assert third.answers_lost == 2  # The lost one, and the one that never came.


def test_value_literals_stand_in_the_ledger_as_sent(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger") as book:
        book.record_sent(a_reading(systolic=Numeral("147.0")), AT)

    assert '"systolic":147.0' in (tmp_path / "ledger").read_text()


def test_a_ledger_cut_anywhere_still_knows_every_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path) as book:
        for sequence in range(3):
            book.record_taken(book.record_sent(a_reading(sequence), AT), READING_ID, AT)
    whole = path.read_bytes()

    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        complete = whole[:length].count(b'"reading":') if length else 0
        assert complete - 1 <= len(read_ledger(path)) <= complete


def test_a_broken_line_in_the_middle_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with Ledger(path) as book:
        book.record_sent(a_reading(), AT)
    path.write_bytes(path.read_bytes() + b"nonsense\n" + json.dumps({"again": 1}).encode() + b"\n")

    with pytest.raises(LedgerError, match="line 2"):
        read_ledger(path)


@pytest.mark.parametrize("text", ['{"taken":9,"id":"x"}\n', "[]\n", '{"sent":1}\n', "7\n"])
def test_another_file_is_no_ledger(tmp_path: Path, text: str) -> None:
    (tmp_path / "other").write_text(text)

    with pytest.raises(LedgerError, match="no ledger entry"):
        read_ledger(tmp_path / "other")


def test_an_existing_ledger_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "ledger").write_text("keep me")

    with pytest.raises(LedgerError, match="new file"):
        Ledger(tmp_path / "ledger")
    assert (tmp_path / "ledger").read_text() == "keep me"


def test_only_its_owner_reads_a_ledger(tmp_path: Path) -> None:
    with Ledger(tmp_path / "new" / "ledger"):
        pass

    assert stat.S_IMODE((tmp_path / "new" / "ledger").stat().st_mode) == 0o600


def test_a_missing_ledger_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot read"):
        read_ledger(tmp_path / "absent")


def test_the_same_instant_in_two_offsets_is_one_delivery() -> None:
    local = {"device_id": "d", "measured_at": "2026-11-22T09:00:00+08:00"}
    utc = {"device_id": "d", "measured_at": "2026-11-22T01:00:00Z"}

    assert delivery_of(local) == delivery_of(utc)
    assert delivery_of({"device_id": "d", "measured_at": " 138"}) == ("d", "", " 138")


def test_a_burst_is_one_line_and_counts_as_taken_when_acknowledged(tmp_path: Path) -> None:
    entries = [
        f'{{"gateway":"gw","id":"01900000-0000-7000-8000-00000000000{number}","reading":'
        f'{{"device_id":"d","boot_id":"b","device_sequence":{number}}}}}'
        for number in range(1, 4)
    ]
    with Ledger(tmp_path / "ledger") as book:
        before = book.record_sent(a_reading(9), AT)
        assert book.record_burst(entries, AT) == before + 1
        assert book.record_burst(entries[:0], AT) == before + 4
        book.record_acknowledged([before + 1, before + 3], AT)

    _, first, second, third = read_ledger(tmp_path / "ledger")
    assert (first.gateway_id, first.expected, first.delivery) == ("gw", "stored", ("d", "b", 1))
    assert (first.reading_id, first.answers_lost) == (READING_ID, 0)
    assert (second.reading_id, second.answers_lost) == (None, 1)
    assert third.reading_id is not None
