"""``suifang simulate people`` tells what its people are like, and the same twice."""

import json
from pathlib import Path

from typer.testing import CliRunner

from simulators.cli import app


def test_it_prints_the_distributions_and_the_same_for_the_same_seed() -> None:
    arguments = ["people", "--residents", "400", "--json"]
    first, again, other = (
        CliRunner().invoke(app, [*arguments, "--seed", seed]) for seed in ("3", "3", "4")
    )
    told = json.loads(first.stdout)

    assert first.exit_code == 0
    assert first.stdout == again.stdout != other.stdout
    assert told["shares"].keys() >= {
        "blood_pressure_under_control",
        "fasting_glucose_under_control",
        "planned_sittings_missing",
    }
    assert 30 < told["shares"]["planned_sittings_missing"]["percent"] < 60
    assert len(told["quantiles"]["systolic_mmhg"]) == 5
    assert told["readings"] > 1_000


def test_a_single_resident_is_a_town(tmp_path: Path) -> None:
    picture = tmp_path / "people.svg"
    result = CliRunner().invoke(app, ["people", "--residents", "1", "--svg", str(picture)])

    assert result.exit_code == 0
    assert "1 residents, seed 1" in result.stdout
    assert picture.read_text().startswith("<svg")


def test_no_residents_are_refused() -> None:
    result = CliRunner().invoke(app, ["people", "--residents", "0"])

    assert result.exit_code == 2
    assert "--residents" in result.stderr
