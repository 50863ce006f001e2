"""docs/simulation.md tells every parameter of the made-up people with the value that it has."""

import ast
import re
from dataclasses import fields
from pathlib import Path

import pytest

from simulators.people.parameters import (
    Diagnoses,
    Habits,
    Parameters,
    Pressure,
    Sugar,
    Treatment,
)

TEXT = (Path(__file__).parents[4] / "docs/simulation.md").read_text("utf-8")
GROUPS = [getattr(Parameters(), field.name) for field in fields(Parameters)]


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: type(group).__name__)
def test_every_parameter_is_told_with_its_value_and_its_source(
    group: Diagnoses | Pressure | Sugar | Treatment | Habits,
) -> None:
    section = TEXT.split(f"(`{type(group).__name__}`)")[1].split("\n**")[0]
    rows = re.findall(r"(?m)^\| `(\w+)` \| (.+?) \| (.+?) \|$", section)

    assert {name: ast.literal_eval(value) for name, value, _ in rows} == {
        field.name: getattr(group, field.name) for field in fields(group)
    }
    assert all(source.strip() for _, _, source in rows)
