"""A scenario's days follow from its seed and from what the system asks for, not from pseudonyms."""

from datetime import timedelta

from simulators.scenarios.happenings import Enrolled, Measured, Recorded
from simulators.scenarios.living import OpenCase
from simulators.scenarios.reader import find, read_scenario
from simulators.scenarios.script import Script


def second_day(name: str, key: bytes) -> list[tuple[object, ...]]:
    """What is seen and measured while everybody's second follow-up is due, by card."""
    scenario = read_scenario(find(name), short=True)
    script = Script(scenario, key)
    begins_at = scenario.begins_at
    script.play_day(begins_at, [])
    cards = {pseudonym: card for card, pseudonym in script.names.items()}
    cases = [
        OpenCase(
            resident_id=pseudonym,
            condition="hypertension",
            state="second_followup_open",
            second_due=begins_at.date(),
            referral_due=None,
        )
        for pseudonym in sorted(script.town.names)
    ]
    happened = script.play_day(begins_at + timedelta(days=1), cases)
    told: list[tuple[object, ...]] = []
    for each in happened:
        if isinstance(each, Recorded):
            told.append((each.at, cards[each.record.resident_id]))
        if isinstance(each, Enrolled):
            told += [(each.at, cards[record.resident_id]) for record in each.population.records]
        if isinstance(each, Measured):
            told.append((each.at, each.reading.card_number, each.reading.line))
    assert script.town.counts["visits"] > 0
    return told


def test_whom_doctors_see_does_not_depend_on_the_key() -> None:
    for name in ("flu-season", "town-year"):
        assert second_day(name, b"a" * 32) == second_day(name, b"b" * 32), name
