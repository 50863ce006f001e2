"""A reading is judged alone and at once, by the deployment's profile of its own local day."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from gateway.wire.readings import parse_reading
from gateway.wire.topics import Topic
from ingest.db.readings import ReadingRow
from ingest.db.residents import Pregnancy
from ingest.emergencies import Emergency, find_emergencies
from ingest.rows import build_rows
from rules.limits import tabulate
from rules.profile import Profile
from rules.profiles import load_versions
from rules.units import MMHG_E13_PER_MMHG
from tests.builders import AT, a_blood_pressure, a_glucose, to_bytes

WUZHOU = load_versions("wuzhou")


def rows_of(*fields: dict[str, Any]) -> list[ReadingRow]:
    """Rows as ingest stores them."""
    raws = [to_bytes(each) for each in fields]
    topic = Topic(centre="east", gateway="gw-1", channel="readings")
    return build_rows(
        [parse_reading(raw) for raw in raws], raws, [topic] * len(raws), received_at=AT
    )


def find(
    *fields: dict[str, Any],
    versions: tuple[Profile, ...] = WUZHOU,
    pregnancies: tuple[Pregnancy, ...] = (),
) -> list[Emergency[ReadingRow]]:
    """The emergencies among these readings."""
    return find_emergencies(rows_of(*fields), pregnancies, tabulate([versions]))


def codes(found: list[Emergency[ReadingRow]]) -> list[str]:
    """What they say."""
    return [each.code.name for each in found]


def test_each_reading_is_judged_alone_in_the_unit_it_came_in() -> None:
    found = find(
        a_blood_pressure("23.9", "12", unit="kPa"),  # 179.26 mmHg
        a_blood_pressure("24.0", "11.9", unit="kPa"),  # 180.01 mmHg
        a_glucose("70", unit="mg/dL"),
        a_glucose("5.6"),
        a_glucose("17.0", sample="control_solution"),
    )

    assert codes(found) == ["BP_EMERGENCY", "GLU_EMERGENCY_LOW"]
    assert [each.observed for each in found] == ["180.01/89.25 mmHg", "3.9 mmol/L"]
    assert {each.due for each in found} == {date(2026, 3, 16)}


def test_a_stored_record_with_a_faulty_clock_alarms_nobody() -> None:
    doubtful: dict[str, Any] = {"measured_at": "1970-01-01T00:00:00Z"}

    assert codes(find(a_glucose("17.0", **doubtful))) == ["GLU_EMERGENCY_HIGH"]
    assert find(a_glucose("17.0", stored_record=True, **doubtful)) == []


@pytest.mark.parametrize(
    ("since", "until", "found"),
    [
        pytest.param(date(2026, 3, 1), date(2026, 3, 1), [], id="until-the-day-before"),
        pytest.param(date(2026, 3, 2), date(2026, 3, 2), ["BP_PREG_HIGH"], id="that-day"),
        pytest.param(date(2026, 3, 3), None, [], id="from-the-day-after"),
    ],
)
def test_pregnant_is_who_was_so_on_the_local_day(
    since: date, until: date | None, found: list[str]
) -> None:
    after_midnight = AT.replace(day=1, hour=16, minute=30).isoformat()
    readings = [
        a_blood_pressure("140", "80", measured_at=after_midnight, resident_id=resident)
        for resident in ("r-1", "r-2", None)
    ]

    assert codes(find(*readings, pregnancies=(Pregnancy("r-1", since, until),))) == found


def test_the_version_of_the_reading_s_local_day_judges() -> None:
    """From 2 March on the limit is 170; a reading of the evening before is not judged by it."""
    (old,) = WUZHOU
    limit = replace(old.bp_emergency, systolic_mmhg_e13=170 * MMHG_E13_PER_MMHG)
    new = replace(old, version="2", valid_from=date(2026, 3, 2), bp_emergency=limit)
    midnight = AT.replace(day=1, hour=16)
    readings = [
        a_blood_pressure("172", measured_at=(midnight + timedelta(seconds=s)).isoformat())
        for s in (-1, 0)
    ]

    found = find(*readings, versions=(old, new))

    assert [(each.effective_at, each.profile.version) for each in found] == [(midnight, "2")]
