"""Every scenario that ships is green in its short version, and a run that is stopped says so.

The whole versions: ``make scenarios``.
"""

import asyncio
import json
import threading
from pathlib import Path

import psycopg
import pytest

from deploy.embedded.stack import Stack
from deploy.rehearsal.reporting import to_report
from deploy.rehearsal.run import Run
from simulators.report.writing import write_report
from simulators.scenarios.reader import list_builtin, read_scenario
from tests.fix_db import Database

SCENARIOS = list_builtin()


def a_run(path: Path, stack: Stack, database: Database, folder: Path) -> Run:
    scenario = read_scenario(path, short=True)
    return Run(scenario=scenario, stack=stack, dsn=database.dsn, folder=folder, short=True)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_scenario_is_what_it_promises(
    name: str, stack: Stack, database: Database, tmp_path: Path
) -> None:
    run = a_run(SCENARIOS[name], stack, database, tmp_path)

    await run.play()
    await asyncio.to_thread(run.judge)

    assert not [verdict for verdict in run.verdicts if not verdict.met]
    assert run.passed
    assert len(run.verdicts) > len(run.scenario.expectations) > 0


async def test_an_expectation_that_is_not_met_fails_the_run(
    stack: Stack, database: Database, tmp_path: Path
) -> None:
    shipped = SCENARIOS["resident-story-year"].read_text("utf-8")
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(shipped.replace("due = 2026-02-24", "due = 2026-02-23"), "utf-8")
    run = a_run(wrong, stack, database, tmp_path / "run")

    await run.play()
    await asyncio.to_thread(run.judge)

    (failed,) = [verdict for verdict in run.verdicts if not verdict.met]
    assert not run.passed
    assert "due 2026-02-23: exactly 1" in failed.expected
    assert "due 2026-02-24" in failed.seen
    assert failed.where == "wrong.toml, line 70"
    assert "table alert" in failed.look


@pytest.mark.parametrize("gently", [True, False])
async def test_a_run_that_is_stopped_leaves_a_report_and_nothing_else(
    stack: Stack, database: Database, tmp_path: Path, *, gently: bool
) -> None:
    run = a_run(SCENARIOS["duplicate-storm"], stack, database, tmp_path)
    halfway = asyncio.Event()
    run.on_day = lambda _: halfway.set()
    playing = asyncio.create_task(run.play())
    await halfway.wait()
    if gently:
        run.stop()
        await playing
    else:
        playing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await playing
        run.problem = "interrupted"

    await asyncio.to_thread(run.judge)
    files = write_report(to_report(run), tmp_path)
    written = json.loads(files.twin.read_text("utf-8"))

    assert "This run is partial" in files.page.read_text("utf-8")
    assert not run.passed
    assert written["days_played"] == 1
    assert written["problem"] == "interrupted"
    assert written["conservation"]["conserved"]
    assert not gently or written["conservation"]["agrees"]
    assert written["readings"] == written["conservation"]["sent"] > 0
    assert not [name for thread in threading.enumerate() if "gateway" in (name := thread.name)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mad-device", "alerts that there ought not to be"),
        ("cards-swapped", "alerts that ought to be there and are not"),
    ],
)
async def test_what_is_never_put_right_is_misjudged(
    name: str, said: str, stack: Stack, database: Database, tmp_path: Path
) -> None:
    """The plain evaluator knows what was truly measured, so it sees what the rules could not."""
    shipped = SCENARIOS[name].read_text("utf-8")
    assert shipped.count("\nfound = 2026-") == 1
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(shipped.replace("\nfound = 2026-", "\nfound = 2030-"), "utf-8")
    run = a_run(wrong, stack, database, tmp_path / "run")

    await run.play()
    await asyncio.to_thread(run.judge)

    kinds = {each["kind"] for each in run.conservation["differences"]}
    details = {each["detail"] for each in run.conservation["differences"]}
    assert run.conservation["conserved"]
    assert kinds - {"altered"} == {"misjudged"}
    assert said in details
    assert not run.verdicts[0].met
    assert "misjudged" in run.verdicts[0].seen


async def test_an_emergency_that_is_told_a_day_late_is_found(
    stack: Stack, database: Database, tmp_path: Path
) -> None:
    run = a_run(SCENARIOS["morning-peak"], stack, database, tmp_path)
    await run.play()
    with psycopg.connect(database.dsn) as connection:
        connection.execute(
            "UPDATE alert SET raised_at = raised_at + interval '1 day' WHERE resident_id = %s",
            (run.names["resident-a"],),
        )

    await asyncio.to_thread(run.judge)

    (late,) = run.conservation["differences"]
    assert (late["kind"], late["count"]) == ("late", 1)
    assert "BP_EMERGENCY" in late["examples"][0]
    assert not run.verdicts[0].met
