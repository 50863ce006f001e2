"""The replay sends every real reading once, in order and with untouched values.

The pipeline, and not the simulator, decides what is bad.
"""

import csv
import json
import re
from collections import Counter, defaultdict
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.wire.errors import Reason
from gateway.wire.limits import READING_BYTES_MAX
from simulators import data
from simulators.errors import RecordingError
from simulators.planned import Expected, PlannedReading, refusal_of
from simulators.recordings import RecordedReading, builtin_recording, read_recording
from simulators.replay import move_recording, plan_replay
from simulators.settings import GAP_MAX
from simulators.sites import sites_of

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
YESTERDAY = date(2026, 11, 22)
SITES = sites_of(["gateway-1", "gateway-2", "gateway-3"])


@pytest.fixture(scope="module")
def recording() -> list[RecordedReading]:
    return builtin_recording()


@pytest.fixture(scope="module")
def plan(recording: list[RecordedReading]) -> list[PlannedReading]:
    return plan_replay(NOW, recording, SITES)


def fields_of(reading: PlannedReading) -> dict[str, object]:
    return dict(json.loads(reading.line, parse_float=Decimal))


def measured_at(reading: PlannedReading) -> datetime:
    return datetime.fromisoformat(str(fields_of(reading)["measured_at"]))


def test_all_rows_are_planned(plan: list[PlannedReading]) -> None:
    assert len(plan) == 27_830 + 196
    assert max(len(reading.line) for reading in plan) < READING_BYTES_MAX // 2


def test_the_same_day_gives_the_same_plan_and_the_next_day_another(
    recording: list[RecordedReading], plan: list[PlannedReading]
) -> None:
    assert plan_replay(NOW + timedelta(hours=12), recording, SITES) == plan
    assert plan_replay(NOW + timedelta(hours=13), recording, SITES) != plan


def test_each_resident_ends_yesterday(recording: list[RecordedReading]) -> None:
    last: dict[str, date] = {}
    for at, reading in move_recording(recording, YESTERDAY):
        if at is not None:
            last[reading.card_number] = max(at.date(), last.get(reading.card_number, at.date()))

    assert set(last.values()) == {YESTERDAY}
    assert len(last) > 1_917  # Some people have dirty rows only.


def test_all_rows_go_out_in_order_of_measurement(recording: list[RecordedReading]) -> None:
    moved = [item for item in move_recording(recording, YESTERDAY) if item[0] is not None]
    clean = [reading for _, reading in moved if not reading.dirty]
    recorded: defaultdict[str, list[datetime]] = defaultdict(list)
    for reading in clean:
        recorded[reading.card_number].append(reading.at or datetime.min)  # noqa: DTZ901 - first

    assert len(clean) == 27_830
    assert sorted(reading.row for reading in clean) == list(range(27_830))
    assert [item[0] for item in moved] == sorted(item[0] for item in moved if item[0])
    assert all(times == sorted(times) for times in recorded.values())


def test_intervals_are_kept_and_gaps_capped(recording: list[RecordedReading]) -> None:
    series: defaultdict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
    for moved, reading in move_recording(recording, YESTERDAY):
        if moved is not None and reading.at is not None:
            series[reading.card_number].append((reading.at, moved))
    capped = kept = 0
    for pairs in series.values():
        for (before, moved_before), (after, moved_after) in pairwise(pairs):
            assert moved_after - moved_before == min(after - before, GAP_MAX)
            capped += after - before > GAP_MAX
            kept += after - before <= GAP_MAX

    assert capped > 4_000
    assert kept > 15_000


def test_a_booking_without_a_day_comes_ninety_days_before_the_clinic(
    recording: list[RecordedReading],
) -> None:
    bookings = {r.card_number for r in recording if r.at is None and r.unreadable_time is None}
    times: defaultdict[str, list[datetime]] = defaultdict(list)
    for at, reading in move_recording(recording, YESTERDAY):
        if reading.card_number in bookings and at is not None:
            times[reading.card_number].append(at)

    assert len(bookings) == 470
    for series in times.values():
        assert series[1] - series[0] == GAP_MAX
        assert series[0].hour in {9, 10, 11, 12, 13}
        assert all(after - before < GAP_MAX for before, after in pairwise(series[1:]))


def test_value_literals_go_through_unchanged(
    recording: list[RecordedReading],
) -> None:
    plan = plan_replay(NOW, recording, SITES, dirty=False)
    sent: Counter[tuple[str, str]] = Counter()
    for reading in plan:
        for name in ("systolic", "diastolic", "glucose"):
            found = re.search(rf'"{name}":([^,}}]+)', reading.line.decode())
            if found:
                sent[reading.card_number, f"{name}={found[1]}"] += 1
    recorded: Counter[tuple[str, str]] = Counter()
    for row in data.read_rows("real_readings"):
        for name in ("systolic", "diastolic", "glucose"):
            if row[name]:
                recorded[row["resident"], f"{name}={row[name]}"] += 1

    assert sent == recorded
    assert any(value == "systolic=147.0" for _, value in sent)


def test_contexts_and_units_become_the_wires(plan: list[PlannedReading]) -> None:
    contexts: Counter[object] = Counter()
    for reading in plan:
        fields = fields_of(reading)
        assert fields["setting"] == "office"
        if reading.expected is not Expected.QUARANTINED:
            contexts[fields["kind"], fields["unit"], fields.get("meal_context")] += 1

    assert contexts == {
        ("blood_pressure", "mmHg", None): 11_655 - 2,
        ("glucose", "mg/dL", "fasting"): 3_518,
        ("glucose", "mg/dL", "preprandial"): 2_768 + 3_158 + 903,
        ("glucose", "mg/dL", "postprandial_2h"): 20 + 66 + 219,
        ("glucose", "mg/dL", "unknown"): 2_870 + 2_653,
    }


def test_all_dirty_rows_are_refused_by_the_wire_with_a_reason(
    recording: list[RecordedReading],
) -> None:
    dirty = plan_replay(NOW, [reading for reading in recording if reading.dirty], SITES)
    reasons = Counter(refusal.reason if (refusal := refusal_of(r.line)) else None for r in dirty)

    assert len(dirty) == 196
    assert None not in reasons
    assert set(reasons) == {
        Reason.INVALID_TIME,
        Reason.UNKNOWN_CONTEXT,
        Reason.NOT_A_NUMBER,
        Reason.IMPLAUSIBLE,
    }
    assert all(reading.expected is Expected.QUARANTINED for reading in dirty)


def test_dirty_rows_go_as_they_stand(recording: list[RecordedReading]) -> None:
    dirty = [r for r in recording if r.dirty]
    lines = [fields_of(reading) for reading in plan_replay(NOW, dirty, SITES)]

    assert sum(line.get("glucose") == "0Hi" for line in lines) == 6
    assert sum(line.get("glucose") == "0''" for line in lines) == 1
    assert sum("glucose" not in line for line in lines) == 33
    assert {line["meal_context"] for line in lines} >= {"33", "56", "0", "36", "4"}
    assert sum(str(line["measured_at"]).startswith(" ") for line in lines) == 33
    assert all(line["unit"] == "mg/dL" for line in lines)


def test_only_the_two_impossible_readings_are_refused(
    recording: list[RecordedReading],
) -> None:
    clean = plan_replay(NOW, recording, SITES, dirty=False)
    refused = [reading for reading in clean if refusal_of(reading.line)]

    assert {fields_of(reading)["systolic"] for reading in refused} == {10, 12}
    assert Counter(reading.expected for reading in clean) == {
        Expected.STORED: 27_830 - 2 - 49,
        Expected.QUARANTINED: 2,
        Expected.DUPLICATE: 49,
    }


def test_synthea_twins_share_their_line_and_their_name(plan: list[PlannedReading]) -> None:
    twins: defaultdict[str, list[PlannedReading]] = defaultdict(list)
    for reading in plan:
        if reading.twins:
            twins[reading.twins].append(reading)

    assert len(twins) == 49
    for group in twins.values():
        assert [reading.expected for reading in group] == [Expected.STORED, Expected.DUPLICATE]
        assert len({reading.line for reading in group}) == 1
        assert "device_sequence" not in fields_of(group[0])


def test_one_value_under_several_patients_stays_several_readings(
    plan: list[PlannedReading],
) -> None:
    rows: defaultdict[tuple[str, str, str], set[str]] = defaultdict(set)
    for row in data.read_rows("real_readings"):
        if row["source"] == "uci_aim94":
            rows[row["timestamp"], row["glucose"], row["context"]].add(row["resident"])
    shared = {card for cards in rows.values() if len(cards) > 1 for card in cards}

    assert sum(len(cards) > 1 for cards in rows.values()) == 756
    planned = [reading for reading in plan if reading.card_number in shared]
    assert all(reading.expected is not Expected.DUPLICATE for reading in planned)


def test_sequence_numbers_are_unique_per_device(plan: list[PlannedReading]) -> None:
    numbered: Counter[tuple[object, ...]] = Counter()
    for reading in plan:
        fields = fields_of(reading)
        if "device_sequence" in fields:
            numbered[fields["device_id"], fields["boot_id"], fields["device_sequence"]] += 1

    assert max(numbered.values()) == 1
    assert sum(numbered.values()) == 28_026 - 8_313


def test_a_resident_uses_one_pair_of_terminals(plan: list[PlannedReading]) -> None:
    devices: defaultdict[str, set[str]] = defaultdict(set)
    for reading in plan:
        devices[reading.card_number].add(reading.device_id)

    for names in devices.values():
        assert len(names) <= 2
        assert len({name.replace("-glu-", "-bp-") for name in names}) == 1
    assert {
        name.split("-bp")[0].split("-glu")[0] for names in devices.values() for name in names
    } == {
        "gateway-1",
        "gateway-2",
        "gateway-3",
    }


def test_a_rate_plans_when_each_is_due(recording: list[RecordedReading]) -> None:
    plan = plan_replay(NOW, recording, SITES, limit=5, rate_per_s=10)

    assert [reading.due_s for reading in plan] == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_a_speed_keeps_the_pace_of_the_measurements(
    recording: list[RecordedReading],
) -> None:
    plan = plan_replay(NOW, recording, SITES, speed=86_400)
    due_s = [reading.due_s for reading in plan]

    assert due_s == sorted(due_s, key=lambda due: due or 0.0)
    timed = [r for r in plan if not refusal_of(r.line) and r.due_s is not None]
    first, last = timed[0], timed[-1]
    days = (measured_at(last) - measured_at(first)) / timedelta(days=1)
    assert (last.due_s or 0) - (first.due_s or 0) == pytest.approx(days)
    assert days > 300


def test_a_speed_of_almost_nothing_is_very_slow(recording: list[RecordedReading]) -> None:
    plan = plan_replay(NOW, recording[:200], SITES, speed=1e-290)

    assert 1e290 < (plan[-1].due_s or 0.0) < float("inf")


def test_a_file_of_the_same_layout_gives_the_same_plan(
    tmp_path: Path, recording: list[RecordedReading]
) -> None:
    path = tmp_path / "readings.csv"
    path.write_bytes(data.read_bytes("real_readings"))

    clean = [reading for reading in recording if not reading.dirty]
    assert read_recording(path) == clean


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(
            "resident,when\nA,1\n", "line 2: there is no column 'when'", id="other-header"
        ),
        pytest.param(
            "resident,kind\nA,bp\n", "line 2: the column 'timestamp' is missing", id="short-header"
        ),
        pytest.param(
            "resident,timestamp,kind,systolic,diastolic,glucose,unit,context,elapsed_min,source\n"
            "A,2020-01-01,pulse,,,,,,,x\n",
            "line 2: kind 'pulse' is neither bp nor glucose; write one of them",
            id="unknown-kind",
        ),
        pytest.param(
            "resident,timestamp,kind,systolic,diastolic,glucose,unit,context,elapsed_min,source\n"
            "A,soon,bp,,,,,,,x\n",
            "line 2: timestamp 'soon' is no time; write 2026-03-02T09:30:00",
            id="no-time",
        ),
        pytest.param(
            "resident,timestamp,code,value\n,1,2,3\n", "line 2: resident is empty", id="nobody"
        ),
        pytest.param("\x00\xff", "cannot read", id="not-a-csv"),
        pytest.param("resident,timestamp,code,value\n", "no readings", id="header-only"),
    ],
)
def test_a_file_that_is_no_recording_is_refused_by_line(
    tmp_path: Path, text: str, problem: str
) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(text, encoding="latin-1")

    with pytest.raises(RecordingError, match=re.escape(problem)):
        read_recording(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="--builtin"):
        read_recording(tmp_path / "absent.csv")


def test_the_csv_module_agrees_on_the_rows() -> None:
    text = data.read_bytes("real_readings").decode().splitlines()

    assert sum(1 for _ in csv.reader(text)) == 27_831
