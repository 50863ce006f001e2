"""Damage to what was stored and told after a green rehearsal: reconcile names each kind of it."""

from pathlib import Path
from typing import Any

import psycopg
import pytest

from deploy.embedded.stack import Stack
from deploy.rehearsal.run import Run
from simulators.judged import judge_again, read_held
from simulators.ledger import read_ledger
from simulators.oracle import evaluate
from simulators.oracle.evaluate import Folded
from simulators.reconcile import reconcile
from simulators.scenarios.reader import list_builtin, read_scenario
from tests.fix_db import Database

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'suifang reconcile' AND datname = current_database()
  AND state LIKE 'idle in transaction%'"""
SHOWN = "alerts that show another value, limit or source than stands behind them"
DAMAGES = {
    "untold": ("DELETE FROM outbox", "alerts the feed does not tell of"),
    "unnumbered": ("UPDATE outbox SET number = NULL", "alerts the feed does not tell of"),
    "silent": ("UPDATE alert SET page = false", "alerts that call somebody or nobody wrongly"),
    "belittled": ("UPDATE alert SET severity = 'info'", "alerts that there ought not to be"),
    "value": ("UPDATE reading SET systolic = systolic + 40", "kept otherwise than truly measured"),
    "owner": (
        "UPDATE reading SET resident_id = (SELECT min(resident_id) FROM reading)",
        "kept otherwise than truly measured",
    ),
    "context": (
        "UPDATE reading SET meal_context = 'unknown' WHERE kind = 'glucose'",
        "kept otherwise than truly measured",
    ),
    "time": (
        "UPDATE reading SET effective_at = effective_at - interval '1 year'",
        "kept otherwise than truly measured",
    ),
    "late by its own clock": (
        """WITH later AS (UPDATE reading SET received_at = received_at + interval '6 hours')
        UPDATE alert SET raised_at = raised_at + interval '6 hours' WHERE severity = 'critical'""",
        "emergencies told late",
    ),
    "late by a day": (
        "UPDATE alert SET raised_at = raised_at + interval '2 days' WHERE severity <> 'critical'",
        "alerts told late",
    ),
    "a wrong limit": ("UPDATE alert SET threshold = '> 160/100 mmHg'", SHOWN),
    "a wrong value": ("UPDATE alert SET observed = '131/82 mmHg'", SHOWN),
    "a wrong source": ("UPDATE alert SET source = 'somewhere'", SHOWN),
    "a wrong profile": ("UPDATE alert SET profile = 'nobodys'", SHOWN),
    "baseless": (
        "UPDATE alert SET anchor_id = gen_random_uuid() WHERE severity = 'critical'",
        "alerts that rest on what nobody sent",
    ),
    "due": (
        "UPDATE resident_case SET next_routine_due = next_routine_due + 30",
        "cases that ought not to be so",
    ),
}


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
    unknown.write_text(whole.replace('"profile":"wuzhou"', '"profile":"nobodys"'), "utf-8")

    for ledger, said in ((unended, "judged to its end"), (unknown, "no profile 'nobodys'")):
        report = reconcile([ledger], played.spools, played.dsn)
        (found,) = report.differences
        assert report.judged == 0
        assert found.kind == "misjudged"
        assert said in found.detail
        assert not report.agrees


def test_no_transaction_waits_while_people_are_judged(
    played: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server ends one that waits for long, and a town takes long."""
    waiting: list[int] = []
    plainly = evaluate.fold

    def fold(*arguments: Any) -> Folded:  # noqa: ANN401 - passed on
        if not waiting:
            with psycopg.connect(played.dsn) as connection:
                waiting.extend(connection.execute(WAITING).fetchone() or ())
        return plainly(*arguments)

    monkeypatch.setattr("simulators.judged.fold", fold)

    assert reconcile([played.ledger], played.spools, played.dsn).agrees
    assert waiting == [0]


def test_each_damage_is_named(played: Run) -> None:
    """Each is done to the same green run and taken back."""
    before = reconcile([played.ledger], played.spools, played.dsn)
    assert before.agrees
    assert before.judged > 0
    entries = read_ledger(played.ledger)
    for name, (damage, said) in DAMAGES.items():
        with psycopg.connect(played.dsn) as connection:
            assert connection.execute(damage).rowcount > 0, name
            held = read_held(connection, entries)
            found = judge_again([played.ledger], entries, set(), held)[1]
            connection.rollback()
        assert said in {each.detail for each in found}, name
