"""The promise: every limit lies where the clinical decision table puts it, to the last digit.

Both comparators: ``wuzhou`` is strictly above, ``cn_nbphs_2017`` at or above. What the engine says
is compared with the plain evaluator in every row.
"""

from decimal import Decimal
from typing import Any

import pytest

from tests.unit.rules.oracle.told import DIABETIC, HEALTHY, HYPERTENSIVE, PREGNANT, bp, glu
from tests.unit.rules.rules_questions import (
    BOTH,
    CONTROLLED,
    OPEN,
    SCREENING,
    alerts,
    ask,
    codes,
    state,
)

PROFILES = ("wuzhou", "cn_nbphs_2017")
SENIOR = HYPERTENSIVE | {"birth_date": "1950-01-01"}
NOON = "03-02 12:00"


def pressure(value: str, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
    """``"140/90"`` in mmHg, or ``"18.7/12.0 kPa"``."""
    numbers, _, unit = value.partition(" ")
    high, low = (Decimal(each) for each in numbers.split("/"))
    return bp("e1", "03-02 09:00", high, low, unit=unit or "mm[Hg]", **fields)


def glucose(value: str, context: str = "fasting") -> dict[str, Any]:
    """``"7.0"`` in mmol/L, or ``"126 mg/dL"``; ``"HI"`` and ``"LO"`` without a number."""
    if value in {"HI", "LO"}:
        beyond = {"HI": 1 << 5, "LO": 1 << 6}[value]
        return glu("e1", "03-02 09:00", None, context, unit=None, status=beyond)
    number, _, unit = value.partition(" ")
    return glu("e1", "03-02 09:00", Decimal(number), context, unit=unit or "mmol/L")


@pytest.mark.parametrize(
    ("value", "above", "at_or_above"),
    [
        ("139.9999/89.9999", False, False),
        ("140/89", False, True),
        ("120/90", False, True),
        ("140/90", False, True),
        ("140.0001/80", True, True),
        ("120/90.0001", True, True),
        ("18.6/11 kPa", False, False),
        ("18.66/11 kPa", False, False),
        ("18.6651/11 kPa", False, False),
        ("18.6652/11 kPa", True, True),
        ("18.67/11 kPa", True, True),
        ("18.7/11 kPa", True, True),
        ("16/11.99 kPa", False, False),
        ("16/12.0 kPa", True, True),
    ],
)
@pytest.mark.parametrize("resident", [HYPERTENSIVE, HEALTHY], ids=["diagnosed", "screened"])
def test_office_pressure(
    value: str, resident: dict[str, Any], *, above: bool, at_or_above: bool
) -> None:
    crossed, spared = (OPEN, CONTROLLED) if resident is HYPERTENSIVE else (SCREENING, "none")
    for profile, expected in zip(PROFILES, (above, at_or_above), strict=True):
        said = ask([pressure(value)], resident, as_of=NOON, profile=profile)

        assert state(said) == (crossed if expected else spared)


@pytest.mark.parametrize(
    ("value", "above", "at_or_above"),
    [
        ("140/89", False, False),
        ("140.0001/89", True, False),
        ("149.9999/89", True, False),
        ("150/89", True, True),
        ("120/89.9999", False, False),
        ("120/90", False, True),
        ("19.99/11 kPa", True, False),
        ("20/11 kPa", True, True),
    ],
)
def test_office_pressure_from_65_years(value: str, *, above: bool, at_or_above: bool) -> None:
    for profile, expected in zip(PROFILES, (above, at_or_above), strict=True):
        said = ask([pressure(value)], SENIOR, as_of=NOON, profile=profile)

        assert state(said) == (OPEN if expected else CONTROLLED)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("value", "resident", "raised"),
    [
        ("134.9999/84.9999", HYPERTENSIVE, False),
        ("135/80", HYPERTENSIVE, True),
        ("120/85", HYPERTENSIVE, True),
        ("17.99/11 kPa", HYPERTENSIVE, False),
        ("18/11 kPa", HYPERTENSIVE, True),
        ("144.9999/84.9999", SENIOR, False),
        ("145/80", SENIOR, True),
        ("120/85", SENIOR, True),
        ("170/100", HEALTHY, False),
    ],
)
def test_home_pressure(value: str, resident: dict[str, Any], profile: str, *, raised: bool) -> None:
    said = ask([pressure(value, setting="home")], resident, as_of=NOON, profile=profile)

    assert codes(said) == ({"BP_HOME_HIGH"} if raised else set())
    assert said["cases"] == {}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("setting", ["office", "home", "ambulatory"])
@pytest.mark.parametrize(
    ("value", "resident", "code"),
    [
        ("179.9999/109.9999", HEALTHY, None),
        ("180/60", HEALTHY, "BP_EMERGENCY"),
        ("158/110", HEALTHY, "BP_EMERGENCY"),
        ("23.99/14.66 kPa", HEALTHY, None),
        ("24.0/12 kPa", HEALTHY, "BP_EMERGENCY"),
        ("18/14.67 kPa", HEALTHY, "BP_EMERGENCY"),
        ("139.9999/89.9999", PREGNANT, None),
        ("140/60", PREGNANT, "BP_PREG_HIGH"),
        ("120/90", PREGNANT, "BP_PREG_HIGH"),
        ("180/90", PREGNANT, "BP_EMERGENCY"),
        ("140/90", HEALTHY, None),
    ],
)
def test_emergency_pressure(
    value: str, resident: dict[str, Any], code: str | None, setting: str, profile: str
) -> None:
    said = ask([pressure(value, setting=setting)], resident, as_of=NOON, profile=profile)

    emergencies = {"BP_EMERGENCY", "BP_PREG_HIGH"}
    assert codes(said) & emergencies == ({code} if code else set())


@pytest.mark.parametrize(
    ("value", "above", "at_or_above"),
    [
        ("6.9999", False, False),
        ("7.0", False, True),
        ("7.0001", True, True),
        ("125 mg/dL", False, False),
        ("125.2084 mg/dL", False, False),
        ("125.2085 mg/dL", False, True),
        ("126 mg/dL", False, True),
        ("127 mg/dL", False, True),
        ("128 mg/dL", True, True),
        ("0.007 mol/L", False, True),
        ("0.0070001 mol/L", True, True),
        ("0.00126 kg/L", False, True),
        ("0.00128 kg/L", True, True),
    ],
)
@pytest.mark.parametrize("resident", [DIABETIC, HEALTHY], ids=["diagnosed", "screened"])
def test_fasting_glucose(
    value: str, resident: dict[str, Any], *, above: bool, at_or_above: bool
) -> None:
    crossed, spared = (OPEN, CONTROLLED) if resident is DIABETIC else (SCREENING, "none")
    for profile, expected in zip(PROFILES, (above, at_or_above), strict=True):
        said = ask([glucose(value)], resident, as_of=NOON, profile=profile)

        assert state(said, "diabetes_t2") == (crossed if expected else spared)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(
    ("value", "context", "resident", "code"),
    [
        ("9.9999", "postprandial_2h", DIABETIC, None),
        ("10.0", "postprandial_2h", DIABETIC, "GLU_POSTPRANDIAL_HIGH"),
        ("179 mg/dL", "postprandial_2h", DIABETIC, None),
        ("180 mg/dL", "postprandial_2h", DIABETIC, "GLU_POSTPRANDIAL_HIGH"),
        ("10.0", "random", DIABETIC, None),
        ("11.0999", "random", HEALTHY, None),
        ("11.1", "random", HEALTHY, "SCREEN_GLU_HIGH"),
        ("11.1", "postprandial_2h", HEALTHY, "SCREEN_GLU_HIGH"),
        ("11.1", "bedtime", HEALTHY, None),
        ("199 mg/dL", "random", HEALTHY, None),
        ("200 mg/dL", "random", HEALTHY, "SCREEN_GLU_HIGH"),
        ("16.6999", "unknown", HEALTHY, None),
        ("16.7", "unknown", HEALTHY, "GLU_EMERGENCY_HIGH"),
        ("299 mg/dL", "unknown", HEALTHY, None),
        ("300 mg/dL", "unknown", HEALTHY, "GLU_EMERGENCY_HIGH"),
        ("HI", "unknown", HEALTHY, "GLU_EMERGENCY_HIGH"),
        ("3.9001", "random", HEALTHY, None),
        ("3.9", "random", HEALTHY, "GLU_EMERGENCY_LOW"),
        ("72 mg/dL", "random", HEALTHY, None),
        ("71 mg/dL", "random", HEALTHY, "GLU_EMERGENCY_LOW"),
        ("70 mg/dL", "random", HEALTHY, "GLU_EMERGENCY_LOW"),
        ("LO", "random", HEALTHY, "GLU_EMERGENCY_LOW"),
    ],
)
def test_other_glucose(
    value: str, context: str, resident: dict[str, Any], code: str | None, profile: str
) -> None:
    said = ask([glucose(value, context)], resident, as_of=NOON, profile=profile)

    assert codes(said) == ({code} if code else set())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("HI", ("emergency_referral", 1)),
        ("16.7", ("emergency_referral", 1)),
        ("LO", ("emergency_referral", 0)),
        ("3.9", ("emergency_referral", 0)),
    ],
)
def test_a_fasting_emergency_counts_only_when_it_is_high(
    value: str, expected: tuple[str, int]
) -> None:
    case = ask([glucose(value)], DIABETIC, as_of=NOON)["cases"]["diabetes_t2"]

    assert (case["state"], case["consecutive_unsatisfied"]) == expected


@pytest.mark.parametrize(
    ("value", "disposition"),
    [
        ("300/199", "accepted"),
        ("300.0001/199", "quarantined:implausible"),
        ("299/200", "accepted"),
        ("299/200.0001", "quarantined:implausible"),
        ("50/20", "accepted"),
        ("49.9999/20", "quarantined:implausible"),
        ("50/19.9999", "quarantined:implausible"),
        ("91/90", "accepted"),
        ("90/90", "quarantined:implausible"),
        ("39.99/20 kPa", "accepted"),
        ("40/20 kPa", "quarantined:implausible"),
    ],
)
def test_plausible_pressure(value: str, disposition: str) -> None:
    assert ask([pressure(value)], BOTH, as_of=NOON)["dispositions"] == {"e1": disposition}


@pytest.mark.parametrize(
    ("value", "disposition"),
    [
        ("0.6", "accepted"),
        ("0.5999", "quarantined:implausible"),
        ("55", "accepted"),
        ("55.0001", "quarantined:implausible"),
        ("11 mg/dL", "accepted"),
        ("9 mg/dL", "quarantined:implausible"),
        ("991 mg/dL", "accepted"),
        ("992 mg/dL", "quarantined:implausible"),
        ("HI", "accepted"),
    ],
)
def test_plausible_glucose(value: str, disposition: str) -> None:
    assert ask([glucose(value)], BOTH, as_of=NOON)["dispositions"] == {"e1": disposition}


@pytest.mark.parametrize(
    ("right", "raised"), [("140/80", True), ("139.9999/80", False), ("120/81", False)]
)
def test_difference_of_the_arms(right: str, *, raised: bool) -> None:
    arms = [pressure("120/80", arm="left")]
    arms.append(pressure(right, arm="right") | {"event_id": "e2"})

    assert ("BP_INTERARM_DIFF e1 active" in alerts(ask(arms, HEALTHY, as_of=NOON))) == raised


@pytest.mark.parametrize(
    ("second", "asked"),
    [("130/90", False), ("130.0001/80", True), ("120/90.0001", True), ("110/70", False)],
)
def test_two_readings_that_ask_for_a_third(second: str, *, asked: bool) -> None:
    two = [pressure("120/80"), pressure(second) | {"event_id": "e2"}]

    assert ask(two, as_of=NOON)["third"] == (["e1"] if asked else [])


@pytest.mark.parametrize(
    ("value", "above", "at_or_above"),
    [
        ("129.9999/84.9999", False, False),
        ("130/80", True, True),
        ("120/85", True, True),
        ("140/80", True, False),
        ("140.0001/80", False, False),
    ],
)
def test_high_normal_pressure(value: str, *, above: bool, at_or_above: bool) -> None:
    for profile, expected in zip(PROFILES, (above, at_or_above), strict=True):
        said = ask([pressure(value)], HEALTHY, as_of=NOON, profile=profile)

        assert said["high_normal_on"] == ("2026-03-02" if expected else None)
