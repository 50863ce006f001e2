"""The loader gets the people of the recording as they were when they were measured."""

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest

from gateway.identity import pseudonym
from ingest.db.residents import Population, Resident
from simulators import data
from simulators.recordings import RecordedReading, builtin_recording
from simulators.replay import move_recording, plan_replay
from simulators.residents import build_population
from simulators.sites import sites_of

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
YESTERDAY = date(2026, 11, 22)
KEY = b"k" * 32
SITES = sites_of(["gateway-1", "gateway-2", "gateway-3"], centres=2)


@pytest.fixture(scope="module")
def recording() -> list[RecordedReading]:
    return builtin_recording()


@pytest.fixture(scope="module")
def population(recording: list[RecordedReading]) -> Population:
    return build_population(NOW, SITES, key=KEY, recording=recording)


@pytest.fixture(scope="module")
def by_card(population: Population) -> dict[str, Resident]:
    cards = {pseudonym(KEY, row["resident"]): row["resident"] for row in rows()}
    return {cards[resident.id]: resident for resident in population.residents}


def rows() -> list[dict[str, str]]:
    return list(data.read_rows("real_residents"))


def spans(recording: list[RecordedReading]) -> dict[str, tuple[date, date]]:
    found: dict[str, tuple[date, date]] = {}
    for at, reading in move_recording(recording, YESTERDAY):
        if at is not None:
            first, _ = found.get(reading.card_number, (at.date(), at.date()))
            found[reading.card_number] = (first, at.date())
    return found


def test_everybody_is_there_under_a_pseudonym(population: Population) -> None:
    ids = {resident.id for resident in population.residents}

    assert len(ids) == len(population.residents) == 1_917
    assert ids == {pseudonym(KEY, row["resident"]) for row in rows()}


def test_every_reference_is_to_something_in_the_population(population: Population) -> None:
    centres = {centre.id for centre in population.centres}
    teams = {team.id for team in population.teams}
    gateways = {gateway.id for gateway in population.gateways}

    assert centres == {"centre-1", "centre-2"}
    assert {team.centre_id for team in population.teams} == centres
    assert {gateway.centre_id for gateway in population.gateways} == centres
    assert {device.gateway_id for device in population.devices} == gateways
    assert {resident.team_id for resident in population.residents} == teams


def test_every_terminal_of_the_replay_is_registered(
    population: Population, recording: list[RecordedReading]
) -> None:
    kinds = {device.id: device.kind for device in population.devices}

    for reading in plan_replay(NOW, recording, SITES, limit=5_000):
        assert json.loads(reading.line)["kind"] == kinds[reading.device_id]


def test_the_birth_date_keeps_the_age_at_the_last_reading(
    by_card: dict[str, Resident], recording: list[RecordedReading]
) -> None:
    last: dict[str, date] = {}
    for reading in recording:
        if reading.at is not None:
            day = reading.at.date()
            last[reading.card_number] = max(day, last.get(reading.card_number, day))
    for row in rows():
        if row["birth_date"]:
            was = last[row["resident"]] - date.fromisoformat(row["birth_date"])
            birth_date = by_card[row["resident"]].birth_date
            assert birth_date is not None
            assert YESTERDAY - birth_date == was


def test_an_age_is_the_age_at_the_first_reading(
    by_card: dict[str, Resident], recording: list[RecordedReading]
) -> None:
    first_days = spans(recording)
    checked = 0
    for row in rows():
        if row["age"]:
            birth_date = by_card[row["resident"]].birth_date
            first = first_days[row["resident"]][0]
            assert birth_date is not None
            had_birthday = (first.month, first.day) >= (birth_date.month, birth_date.day)
            assert first.year - birth_date.year - (not had_birthday) == int(float(row["age"]))
            checked += 1

    assert checked == 757 + 475


def test_conditions_hold_during_the_whole_series(
    by_card: dict[str, Resident], recording: list[RecordedReading]
) -> None:
    first_and_last = spans(recording)
    for card, resident in by_card.items():
        first, last = first_and_last[card]
        for condition in resident.conditions:
            assert condition.since == first - timedelta(days=1)
            assert condition.until == (last if condition.condition == "pregnant" else None)


def test_conditions_are_those_of_the_source(population: Population) -> None:
    found = Counter(c.condition for r in population.residents for c in r.conditions)

    assert found == {
        "hypertension": 757 + 53 + 45 + 28 + 16 + 8 + 8 + 2 + 1,
        "diabetes": 70 + 11 + 8 + 8 + 3 + 3 + 2 + 1 + 1,
        "prediabetes": 66 + 53 + 28 + 16 + 11 + 8 + 8 + 3,
        "pregnant": 475,
    }


def test_nothing_of_the_card_is_in_the_population(population: Population) -> None:
    text = repr(population)

    assert not any(row["resident"] in text for row in rows())


def test_the_same_day_gives_the_same_people(
    population: Population, recording: list[RecordedReading]
) -> None:
    assert build_population(NOW, SITES, key=KEY, recording=recording) == population
