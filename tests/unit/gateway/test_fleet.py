"""What is known of devices is kept bounded, and never shows what has the shape of a card number."""

from datetime import date, timedelta

import pytest

from gateway.errors import SettingsError
from gateway.fleet import DeviceSettings, Fleet
from tests.unit.gateway.gateway_builders import NOON

CUFF = DeviceSettings(
    id="cuff-1", calibrated_on=date(2026, 3, 2), calibration_interval_days=365, name="hall"
)


def test_a_configured_device_is_listed_before_it_was_ever_heard() -> None:
    (state,) = Fleet([CUFF]).states()

    assert (state.id, state.name, state.last_seen) == ("cuff-1", "hall", None)
    assert state.calibration_due == date(2027, 3, 2)


def test_a_device_that_is_expected_is_listed_and_stays_beside_what_is_known_of_it() -> None:
    fleet = Fleet([CUFF], expected=["cuff-1", "meter-1"], devices_max=1)

    assert [(s.id, s.name) for s in fleet.states()] == [("cuff-1", "hall"), ("meter-1", "")]
    fleet.seen("stranger", NOON)
    assert len(fleet.states()) == 2


def test_what_was_not_told_this_time_stays_as_it_was() -> None:
    fleet = Fleet([CUFF])
    fleet.seen("cuff-1", NOON, battery_percent=80, clock_offset_s=-7)

    fleet.seen("cuff-1", NOON + timedelta(minutes=1))
    fleet.seen("cuff-1", NOON + timedelta(minutes=2), battery_percent=101)

    (state,) = fleet.states()
    assert (state.battery_percent, state.clock_offset_s) == (80, -7)
    assert state.last_seen == NOON + timedelta(minutes=2)


def test_only_news_is_told_at_once() -> None:
    calls: list[None] = []
    fleet = Fleet([CUFF], on_change=lambda: calls.append(None))

    for percent in (80, 80, 79, None):
        fleet.seen("cuff-1", NOON, battery_percent=percent)
    fleet.seen("meter-1", NOON)
    fleet.seen("meter-1", NOON)

    assert len(calls) == 3


def test_a_flood_of_strangers_never_pushes_out_a_configured_device() -> None:
    fleet = Fleet([CUFF], devices_max=3)
    for number in range(100):
        fleet.seen(f"stranger-{number}", NOON + timedelta(seconds=number))

    assert [s.id for s in fleet.states()] == ["cuff-1", "stranger-98", "stranger-99"]
    full = Fleet([CUFF, DeviceSettings(id="cuff-2")], devices_max=1)
    full.seen("stranger", NOON)
    assert (len(full.states()), full.unlisted) == (2, 1)


@pytest.mark.parametrize(
    "identifier", ["99000019490101001X", "990000490101001", "card 99000019490101001x", "", "x" * 65]
)
def test_an_id_in_the_shape_of_a_card_number_is_counted_and_not_kept(identifier: str) -> None:
    fleet = Fleet()
    fleet.seen(identifier, NOON)

    assert (fleet.states(), fleet.unlisted) == ([], 1)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"id": ""}, "id"),
        ({"calibrated_on": date(2026, 3, 2)}, "calibrated_on"),
        ({"calibration_interval_days": 365}, "calibrated_on"),
        ({"calibrated_on": date(1026, 3, 2), "calibration_interval_days": 1}, "calibrated_on"),
        (
            {"calibrated_on": date(2026, 3, 2), "calibration_interval_days": 0},
            "calibration_interval_days",
        ),
    ],
    ids=str,
)
def test_a_device_that_cannot_be_meant_is_refused(given: dict[str, object], named: str) -> None:
    with pytest.raises(SettingsError, match=f"^{named} "):
        DeviceSettings(**({"id": "cuff-1"} | given))  # type: ignore[arg-type]  # any of its fields
