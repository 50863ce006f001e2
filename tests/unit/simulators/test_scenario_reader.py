"""A scenario's file is read strictly: one line says file, line, field, value and remedy."""

from pathlib import Path

import pytest

from simulators.oracle.person import PROFILES
from simulators.scenarios.errors import ScenarioError
from simulators.scenarios.reader import find, list_builtin, read_scenario

WHOLE = """\
id = "small"
title = "A small one"
begins = 2026-03-02
days = 2

[town]
residents = 3
per_day = 0.5

[[person]]
id = "resident-a"
born = 1960-01-01
sex = "female"
conditions = ["hypertension"]

[[event]]
at = 2026-03-02T09:00:00
person = "resident-a"
pressure = [150, 94]

[[disturbance]]
kind = "network_gone"
gateways = ["gateway-1"]
from = 2026-03-02T10:00:00
until = 2026-03-02T12:00:00

[[expect]]
alert = "BP_UNSATISFIED_1"
person = "resident-a"
exactly = 1
"""
MAD = 'kind = "mad_device"\ndevice = "glucose"\nevery = "{every}"\nfound = {found}'
WRONG = {
    "an unknown key": ("days = 2", "days = 2\nresidents = 3", "5", "residents"),
    "a misspelt key": ("per_day = 0.5", "per_dya = 0.5", "8", "did you mean per_day?"),
    "an impossible rate": ("per_day = 0.5", "per_day = -0.5", "8", "a number from 0 to 24"),
    "no TOML": ("[town]", "[town", "6", "no TOML"),
    "a word for a number": ("days = 2", 'days = "two"', "4", "a whole number from 1 to 800"),
    "a person who is not there": ('person = "resident-a"\np', 'person = "b"\np', "18", "'b'"),
    "an impossible day": ("born = 1960-01-01", "born = 12", "12", "a day such as"),
    "a time outside": ("2026-03-02T09", "2026-04-02T09", "17", "outside of the scenario's days"),
    "a time with an offset": ("02T09:00:00", "02T09:00:00Z", "17", "without an offset"),
    "two things at once": ("[150, 94]", "[150, 94]\nglucose = 5.6", "16", "only one"),
    "half a pressure": ("[150, 94]", "[150]", "19", "two whole numbers"),
    "a gateway that is not there": ('s = ["gateway-1"]', 's = ["gateway-9"]', "23", "gateway-1"),
    "an end before the beginning": ("02T12:00:00", "02T09:00:00", "25", "not after from"),
    "an unknown disturbance": ("network_gone", "plague", "22", "network_gone"),
    "an unknown alert": ("BP_UNSATISFIED_1", "BP_BAD", "28", "BP_EMERGENCY"),
    "impossible bounds": ("exactly = 1", "at_least = 3\nat_most = 2", "31", "below at_least"),
    "a rate that is no number": ("per_day = 0.5", "per_day = nan", "8", "a number from 0 to 24"),
    "an age that nobody has": ("born = 1960-01-01", "born = 1860-01-01", "12", "from 1900-01-01"),
    "a birth after the beginning": ("born = 1960", "born = 2060", "12", "to 2026-03-02"),
    "a time before clocks": ("begins = 2026-03-02", "begins = 0001-01-01", "3", "write a day from"),
    "a glucose of no number": ("pressure = [150, 94]", "glucose = nan", "19", "write a number"),
    "nothing to take back": ("pressure = [150, 94]", 'retract = "x"', "19", "a label"),
    "a wave somewhere": (
        *('kind = "network_gone"', 'kind = "flu"\nattendance = 2'),
        *("24", "means nothing for flu"),
    ),
    "a clock wrong for a while": (
        *('kind = "network_gone"', 'kind = "gateway_clock"\nahead = "1h"'),
        *("25", "means nothing for gateway_clock"),
    ),
    "madness without a pause": (
        *('kind = "network_gone"', MAD.format(every="0min", found="2026-03-02T11:00:00")),
        *("24", "above 0 min"),
    ),
    "found before it is mad": (
        *('kind = "network_gone"', MAD.format(every="5min", found="2026-03-02T09:00:00")),
        *("25", "not after from"),
    ),
    "found when all is over": (
        *('kind = "network_gone"', MAD.format(every="5min", found="2026-04-02T09:00:00")),
        *("25", "outside of the scenario's days"),
    ),
    "a profile that nobody can judge by": (
        *("days = 2", 'days = 2\nprofile = "mine"'),
        *("5", "one of cn_nbphs_2017, who_hearts, wuzhou"),
    ),
    "a figure without a band": (
        *(
            'alert = "BP_UNSATISFIED_1"\nperson = "resident-a"\nexactly = 1',
            'figure = "signing.all"',
        ),
        *("27", "in percent"),
    ),
    "a figure that there is not": (
        *('alert = "BP_UNSATISFIED_1"\nperson = "resident-a"\nexactly = 1', 'figure = "all"'),
        *("28", "htn.control_rate"),
    ),
    "strangers beside a practice": ("[town]", "[practice]\n[town]", "9", "[practice]"),
    "a practice that is impossible": (
        *("per_day = 0.5\n", "\n[practice]\non_time = 1.5\n"),
        *("10", "a number from 0 to 1"),
    ),
    "a missing file": ("days = 2", 'days = 2\ninclude = ["gone.toml"]', "5", "not beside"),
}


def written(folder: Path, text: str) -> Path:
    path = folder / "small.toml"
    path.write_text(text, "utf-8")
    return path


def test_what_is_right_is_read(tmp_path: Path) -> None:
    scenario = read_scenario(written(tmp_path, WHOLE), seed=7)

    assert scenario.seed == 7
    assert scenario.persons[0].conditions == ["hypertension"]
    assert scenario.events[0].value == (150, 94)
    assert scenario.expectations[0].at_most == 1


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_refused_with_its_line_and_a_remedy(what: str, tmp_path: Path) -> None:
    old, new, line, said = WRONG[what]
    assert WHOLE.count(old) == 1, old
    path = written(tmp_path, WHOLE.replace(old, new))

    with pytest.raises(ScenarioError) as refused:
        read_scenario(path)

    text = str(refused.value)
    assert text.startswith(f"{path}, line {line}: ")
    assert said in text
    assert "\n" not in text


def test_a_profile_that_the_plain_evaluator_lacks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, WHOLE.replace("days = 2", 'days = 2\nprofile = "who_hearts"'))
    assert read_scenario(path).profile == "who_hearts"

    monkeypatch.delitem(PROFILES, "who_hearts")

    with pytest.raises(ScenarioError, match=r"line 5: profile is 'who_hearts', which the plain"):
        read_scenario(path)


@pytest.mark.parametrize("wave", ['"flu"\nattendance = 2', '"growth"\nstarts_with = 0.5'])
def test_a_town_with_a_practice_neither_grows_nor_comes_in_waves(wave: str, tmp_path: Path) -> None:
    text = WHOLE.replace("per_day = 0.5\n", "\n[practice]\non_time = 0.5\n")
    practised = read_scenario(written(tmp_path, text))
    assert practised.practice is not None
    assert practised.practice.on_time == 0.5
    text = text.replace('"network_gone"\ngateways = ["gateway-1"]', wave)

    with pytest.raises(ScenarioError, match=r"disturbance\.1\.kind is '\w+', which a town with"):
        read_scenario(written(tmp_path, text))


def test_a_reading_is_taken_back_after_it_was_taken(tmp_path: Path) -> None:
    text = WHOLE.replace("[150, 94]", '[150, 94]\nlabel = "first"') + (
        '[[event]]\nat = 2026-03-02T08:00:00\nperson = "resident-a"\nretract = "first"\n'
    )

    with pytest.raises(ScenarioError, match=r"line 33: event\.2\.at is not after the reading"):
        read_scenario(written(tmp_path, text))


def test_an_id_that_stands_twice_is_refused(tmp_path: Path) -> None:
    again = '[[person]]\nid = "resident-a"\nborn = 1970-01-01\nsex = "male"\n'
    path = written(tmp_path, WHOLE + again)

    with pytest.raises(ScenarioError, match=r"line 32: person\.2\.id is 'resident-a'.*twice"):
        read_scenario(path)


def test_a_name_that_nobody_has_is_told_with_those_there_are() -> None:
    with pytest.raises(ScenarioError, match="morning-peak"):
        find("no-such-scenario")


@pytest.mark.parametrize("short", [False, True])
def test_all_that_ship_can_be_read(*, short: bool) -> None:
    for name, path in list_builtin().items():
        assert read_scenario(path, short=short).id == name


def test_a_shorter_version_is_shorter() -> None:
    path = find("flu-season")

    assert read_scenario(path, short=True).days < read_scenario(path).days == 120
