"""The promise: every worked case comes out as written, from the engine and from the command."""

import json
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rules.indicator_cases import evaluate_indicator_case
from rules.worked.compare import differences
from rules.worked.errors import CaseFileError
from rules.worked.evaluate import evaluate_case
from tests.unit.rules.oracle.told import at, bp, glu, recorded, visit
from tests.unit.rules.rules_questions import a_case
from tests.unit.rules.rules_cli import suifang_rules

FILE = Path(__file__).parent / "data" / "clinical_cases.json"
CONTENT = json.loads(FILE.read_text(encoding="utf-8"), parse_float=Decimal)
CASES, INDICATORS = CONTENT["cases"], CONTENT["indicator_cases"]


def test_there_are_forty_cases_and_two_of_indicators() -> None:
    assert (len(CASES), len(INDICATORS)) == (40, 2)
