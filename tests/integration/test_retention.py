"""Old readings go in whole chunks; nothing they meant goes too, and none is miscounted."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio

from gateway.wire.times import utc_now
from ingest.backtest import Question, backtest
from ingest.checkpoints import UnreadableCheckpointError
from ingest.db import retention
from ingest.db.connections import Connection, connect
from ingest.db.errors import DatabaseUnavailableError
from ingest.profiles import Profiles
from ingest.rejudge import rejudge
from ingest.retention import Retention, RetentionBlockedError, plan
from tests.builders import AT, a_batch, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.judge_bench import JudgeBench, open_bench
from tests.integration.retention_bench import (
    CHUNKS,
    KEPT,
    LAW,
    NOW,
    ids_in,
    live_through,
    retain,
    send_at,
)
from tests.integration.writer_bench import WriterBench
from tests.roles import prepare_ingest


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, clock: TestClock) -> JudgeBench:
    return await open_bench(connection, database, clock)


async def test_a_late_reading_goes_into_the_chunk_of_its_own_time(bench: JudgeBench) -> None:
    await send_at(bench, NOW, a_glucose(at=NOW))
    late = a_glucose(at=AT)

    await bench.send(late)

    assert await bench.rows(CHUNKS) == [(2,)]
    ((chunk,),) = await bench.rows(
        "SELECT tableoid::regclass::text FROM reading ORDER BY partition_at LIMIT 1"
    )
    assert chunk.startswith("_timescaledb_internal.")


async def test_old_chunks_are_dropped_and_the_sums_stay(bench: JudgeBench) -> None:
    sent = await live_through(bench)
    totals = await bench.rows("SELECT * FROM gateway_day ORDER BY day")
    before = await bench.rows(CHUNKS)
    told = await bench.rows("SELECT * FROM case_transition ORDER BY number")

    ahead = await plan(bench.connection, KEPT)
    done = await retain(bench, KEPT)

    assert (ahead.readings, ahead.chunks, ahead.edge) == (done.retired, done.chunks, done.edge)
    assert 0 < done.retired < len(sent)
    assert before[0][0] - done.chunks == (await bench.rows(CHUNKS))[0][0]
    assert await ids_in(bench, "reading") == {
        each["id"] for each in sent if datetime.fromisoformat(each["captured_at"]) >= done.edge
    }
    assert await bench.rows("SELECT * FROM gateway_day ORDER BY day") == totals
    assert await bench.rows(LAW) == [(0, 0)]
    assert await bench.rows("SELECT * FROM case_transition ORDER BY number") == told
    assert await bench.cases() == [("diabetes", "controlled", None, None)]


async def test_what_an_open_case_rests_on_is_held_back_and_can_still_be_corrected(
    bench: JudgeBench,
) -> None:
    high = await send_at(bench, AT, a_glucose("7.4"))
    await bench.settle()
    bench.clock.now = NOW
    await bench.work()

    done = await retain(bench, KEPT)

    assert (done.held, done.retired) == (1, 0)
    assert await ids_in(bench, "reading_held") == {high["id"]}
    assert await bench.rows("SELECT count(*) FROM reading") == [(0,)]
    assert [row[:2] for row in await bench.alerts()] == [
        ("FOLLOWUP_OVERDUE", "active"),
        ("GLU_UNSATISFIED_1", "active"),
    ]
    await bench.correct(high, glucose=Decimal("5.1"))
    await bench.work()
    assert {row[1] for row in await bench.alerts()} == {"cancelled"}
    assert await bench.cases() == [("diabetes", "controlled", None, None)]

    again = await retain(bench, KEPT + timedelta(days=40))

    assert (again.released, again.retired) == (1, 1)
    assert await bench.rows("SELECT count(*) FROM stored_reading") == [(0,)]
    assert await bench.rows(LAW) == [(0, 0)]
    assert await bench.cases() == [("diabetes", "controlled", None, None)]


class KilledError(Exception):
    """The process is gone."""


def killed_at(report: int) -> Callable[[str, int, int], None]:
    """A progress that is the last thing the process does."""
    left = [report]

    def progress(_: str, __: int, ___: int) -> None:
        left[0] -= 1
        if not left[0]:
            raise KilledError

    return progress


@pytest.mark.parametrize("report", range(1, 9))
async def test_a_run_that_is_killed_anywhere_is_simply_run_again(
    bench: JudgeBench, report: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.retention.RESIDENTS_PER_PAGE", 1)
    at = AT
    for number in range(3):
        at = AT + timedelta(days=40 * number)
        for name in ("r-1", "r-2", "r-3"):
            await send_at(bench, at, a_glucose("5.6", at=at, resident_id=name, device_id=name))
        await bench.settle()
    await send_at(bench, at, a_glucose("7.7", at=at, resident_id="r-4"))
    bench.clock.now = NOW
    await bench.work()
    cases, alerts = await bench.cases(), await bench.alerts()

    with contextlib.suppress(KilledError):
        await retain(bench, KEPT, killed_at(report))
    assert await bench.rows(LAW) == [(0, 0)]
    await bench.judge.judge_residents(bench.connection, ["r-1", "r-2", "r-3", "r-4"])
    assert (await bench.cases(), await bench.alerts()) == (cases, alerts)
    await retain(bench, KEPT)

    assert (await bench.cases(), await bench.alerts()) == (cases, alerts)
    assert await bench.rows(LAW) == [(0, 0)]
    assert await bench.rows("SELECT count(*) FROM reading") == [(0,)]
    assert await bench.rows("SELECT sum(readings)::int FROM gateway_retired") == [(9,)]


async def test_the_edge_never_goes_back(bench: JudgeBench) -> None:
    await live_through(bench)
    done = await retain(bench, KEPT)

    again = await retain(bench, KEPT - timedelta(days=90))

    assert again.edge == done.edge
    assert again.retired == again.residents == 0


async def test_writers_at_work_lose_nothing_to_a_run(bench: JudgeBench, database: Database) -> None:
    """Old readings come in all the while: each is folded and counted, or quarantined."""
    await live_through(bench)
    stop, begun = asyncio.Event(), asyncio.Event()
    accepted: set[UUID] = set()

    async def write() -> None:
        async with await connect(database.dsn, application_name="w", autocommit=True) as other:
            await prepare_ingest(other)
            writer = WriterBench(other)
            number = 0
            while not stop.is_set() or number < 40:
                number += 1
                at = AT + timedelta(days=number % 330, seconds=number)
                reading = a_glucose("5.5", at=at, resident_id=f"r-{number % 5}")
                accepted.add(UUID(reading["id"]))
                await writer.store(a_batch(reading), at=NOW)
                if number == 20:
                    begun.set()

    writing = asyncio.create_task(write())
    await begun.wait()
    done = await retain(bench, KEPT)
    stop.set()
    await writing

    assert await bench.rows(LAW) == [(0, 0)]
    front = await bench.rows(
        "SELECT count(*) FROM reading WHERE partition_at < (SELECT edge FROM retention)"
    )
    assert front == [(0,)]
    ((settled,),) = await bench.rows(
        "SELECT sum(stored + quarantined + duplicate)::int FROM gateway_day"
    )
    assert settled == len(accepted) + 12
    assert done.retired > 0


async def test_a_long_look_at_history_keeps_the_chunks(
    bench: JudgeBench, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.retention._WAIT_S", 0.001)
    await live_through(bench)
    before = await bench.rows(CHUNKS)
    look = await connect(database.dsn, application_name="look", autocommit=True)
    async with look, retention.chunks_kept(look):
        with pytest.raises(RetentionBlockedError, match="run retention again"):
            await retain(bench, KEPT)
        assert await bench.rows(CHUNKS) == before

    assert (await retain(bench, KEPT)).retired > 0
    assert await bench.rows(LAW) == [(0, 0)]


async def test_a_back_test_and_a_re_judge_see_the_tail_and_say_since_when(
    bench: JudgeBench,
) -> None:
    await live_through(bench)
    await send_at(bench, NOW, a_glucose("7.4", at=NOW))
    await bench.settle()
    done = await retain(bench, KEPT)
    question = Question(
        before=Profiles("wuzhou"),
        after=Profiles("cn_nbphs_2017"),
        first=AT.date(),
        last=(NOW + timedelta(days=3)).date(),
    )

    found = (await backtest(bench.connection, question, lambda _: None)).as_record(question)
    again = await rejudge(bench.connection, bench.judge, lambda _: None)

    assert found["since"] == done.edge.date().isoformat()
    assert [(row["code"], row["before"], row["after"]) for row in found["alerts"]] == [
        ("GLU_UNSATISFIED_1", 1, 1)
    ]
    changes = (again.alerts_raised, again.alerts_changed, again.alerts_cancelled)
    assert (changes, again.cases_changed) == ((0, 0, 0), 0)


async def test_two_runs_never_work_at_once(bench: JudgeBench, database: Database) -> None:
    async with await connect(database.dsn, application_name="run", autocommit=True) as other:
        assert await retention.begin_run(other)
        with pytest.raises(RetentionBlockedError, match="another run"):
            await retain(bench, KEPT)


async def test_nobody_is_judged_on_a_checkpoint_that_cannot_be_read(bench: JudgeBench) -> None:
    await live_through(bench)
    await retain(bench, KEPT)
    await bench.connection.execute(
        "UPDATE resident_checkpoint SET state = overlay(state PLACING '\\x63' FROM 4)"
    )

    with pytest.raises(UnreadableCheckpointError, match="format 99"):
        await bench.judge.judge_residents(bench.connection, ["r-1"])


async def test_a_lost_connection_leaves_no_trace_of_a_page(
    bench: JudgeBench, database: Database
) -> None:
    await live_through(bench)
    async with await connect(database.dsn, application_name="run", autocommit=True) as other:
        cursor = await other.execute("SELECT pg_backend_pid()")
        ((pid,),) = await cursor.fetchall()

        def progress(_: str, __: int, ___: int) -> None:
            subprocess.run(
                [sys.executable, "-c", _TERMINATE, database.dsn, str(pid)], check=True, timeout=60
            )

        with pytest.raises(DatabaseUnavailableError):
            await Retention(other, bench.judge, progress).run(KEPT)
    assert await bench.rows(LAW) == [(0, 0)]

    assert (await retain(bench, KEPT)).retired > 0


_TERMINATE = (
    "import psycopg, sys;"
    "psycopg.connect(sys.argv[1], autocommit=True)"
    ".execute('SELECT pg_terminate_backend(%s)', (int(sys.argv[2]),))"
)


def _run(*words: str) -> "subprocess.CompletedProcess[str]":
    command = Path(sys.executable).with_name("suifang")
    return subprocess.run(
        [command, "retention", *words], capture_output=True, text=True, check=False, timeout=120
    )


async def test_the_command_plans_runs_and_says_how_things_stand(
    bench: JudgeBench, database: Database
) -> None:
    """By the real clock: everything of 2020 is older than two years."""
    old = datetime(2020, 6, 1, tzinfo=UTC)
    await send_at(bench, old, a_glucose("5.6", at=old))
    await bench.settle()
    place = ("--database", database.dsn)
    kept = _run("plan", *place, "--keep", "2years", "--json")
    assert json.loads(kept.stdout)["readings"] == 0  # Nothing came since: it is the last quarter.
    await bench.connection.execute(
        "INSERT INTO gateway_day (gateway_id, day) VALUES ('gw-others', %s)", (utc_now().date(),)
    )

    planned = _run("plan", *place, "--keep", "2years", "--json")
    dry = _run("run", *place, "--keep", "2years", "--dry-run", "--json")
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout) == json.loads(dry.stdout)
    assert json.loads(planned.stdout)["readings"] == 1
    assert await bench.rows("SELECT count(*) FROM reading") == [(1,)]

    ran = _run("run", *place, "--keep", "2years", "--json")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["retired"] == 1

    said = json.loads(_run("status", *place, "--json").stdout)
    assert (said["retired"], said["held"], said["chunks"]) == (1, 0, 0)
    assert said["floor_days"] == 91
    assert said["edition"] in {"apache", "timescale"}
    assert "kept since" in _run("status", *place).stdout

    for span in ("a while", "3days"):
        wrong = _run("plan", *place, "--keep", span)
        assert wrong.returncode == 2
        assert wrong.stderr.count("\n") == 1
