"""Damage to what was stored and told after a green rehearsal: reconcile names each kind of it."""

from pathlib import Path

import pytest

from deploy.embedded.stack import Stack
from deploy.rehearsal.run import Run
from simulators.reconcile import reconcile
from simulators.scenarios.reader import list_builtin, read_scenario
from tests.fix_db import Database


@pytest.fixture
async def played(stack: Stack, database: Database, tmp_path: Path) -> Run:
    """A short scenario that was played, and is green."""
    scenario = read_scenario(list_builtin()["morning-peak"], short=True)
    run = Run(scenario=scenario, stack=stack, dsn=database.dsn, folder=tmp_path, short=True)
    await run.play()
    return run


def test_people_whom_nobody_judges_are_a_difference(played: Run) -> None:
    whole = played.ledger.read_text("utf-8")
    unended = played.folder / "unended.ledger"
    unended.write_text(
        "".join(line for line in whole.splitlines(keepends=True) if '{"ended"' not in line), "utf-8"
    )
    unknown = played.folder / "unknown.ledger"
    unknown.write_text(whole.replace('"profile":"wuzhou"', '"profile":"who_hearts"'), "utf-8")

    for ledger, said in ((unended, "judged to its end"), (unknown, "no profile 'who_hearts'")):
        report = reconcile([ledger], played.spools, played.dsn)
        (found,) = report.differences
        assert report.judged == 0
        assert found.kind == "misjudged"
        assert said in found.detail
        assert not report.agrees
