"""A light fleet loses nothing, says what it did when it is stopped, and leaves nothing behind."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy.embedded.processes import identify, is_alive
from deploy.embedded.stack import Stack
from deploy.load.private import PrivateStack
from gateway.wire.times import utc_now
from ingest.db.connections import Connection
from simulators.errors import LoadError
from simulators.load.conduct import Conductor, conducting
from simulators.load.display import LoadDisplay
from simulators.load.link import Login
from simulators.load.plan import LoadPlan
from simulators.load.replaying import RecordedTraffic
from simulators.load.reporting import describe_load
from simulators.load.target import Target
from simulators.reconcile import reconcile
from simulators.recordings import builtin_recording
from simulators.replay import plan_replay
from simulators.sites import Site
from tests.builders import enrol
from tests.fix_processes import Processes

_PATIENCE_S = 120.0
COMMAND = Path(sys.executable).with_name("suifang")
SITES = [Site("east", f"load-{number}") for number in range(3)]
PLAN = LoadPlan(gateways=3, terminals=12, rate_per_s=150, duration_s=4, residents=40)


@pytest.fixture
async def target(connection: Connection, processes: Processes) -> Target:
    """Three gateways at the broker, and one ingest worker on the test's database."""
    await enrol(connection, gateways={site.gateway_id: site.centre_id for site in SITES})
    broker = processes.broker
    for site in SITES:
        broker.add_user(site.gateway_id)
    await broker.forget_ingest_sessions()
    ingest = processes.start_ingest()
    assert ingest.stdout is not None
    assert ingest.stdout.readline(), "it says when it has subscribed"
    return Target(
        host=broker.host,
        port=broker.port,
        sites=SITES,
        logins=[Login(site.gateway_id, broker.passwords[site.gateway_id]) for site in SITES],
    )


@contextmanager
def _conducting(target: Target, ledger: Path) -> Iterator[Conductor]:
    display = LoadDisplay(Console(stderr=True), None)
    with conducting(target, clock=utc_now, display=display, ledger=ledger) as conductor:
        yield conductor


def test_everything_is_receipted_and_reconciles(
    target: Target, processes: Processes, tmp_path: Path
) -> None:
    with _conducting(target, tmp_path / "ledger") as conductor:
        run = conductor.play(PLAN, "test")

    assert (run.partial, run.counts.waiting) == (None, 0)
    assert run.counts.sent == run.counts.acknowledged == run.counts.stored > 400
    assert run.latencies.stored.total == run.latencies.lateness.total == run.counts.sent
    assert sum(sample.sent_per_s for sample in run.samples) > 0
    found = reconcile([tmp_path / "ledger"], [], processes.database.dsn)
    assert found.agrees, found.differences
    assert found.taken == run.counts.sent


def test_a_recording_goes_through_as_fast_as_it_is_answered(
    target: Target, processes: Processes, tmp_path: Path
) -> None:
    recording = builtin_recording()
    planned = plan_replay(utc_now(), recording[:600] + recording[-196:], SITES)
    traffic = RecordedTraffic(planned, SITES, key=b"k" * 32, clock=utc_now)
    with _conducting(target, tmp_path / "ledger") as conductor:
        run = conductor.send(traffic.messages(), "test")

    assert (run.partial, run.counts.waiting, traffic.refused) == (None, 0, 0)
    assert run.counts.sent == 796
    assert run.counts.quarantined >= 196
    found = reconcile([tmp_path / "ledger"], [], processes.database.dsn)
    assert found.agrees, found.differences


def test_a_broker_that_restarts_costs_no_reading(
    target: Target, processes: Processes, stack: Stack, tmp_path: Path
) -> None:
    def restart() -> None:
        time.sleep(1.5)
        stack.stop("broker")
        stack.start("broker")

    beside = threading.Thread(target=restart)
    with _conducting(target, tmp_path / "ledger") as conductor:
        beside.start()
        run = conductor.play(PLAN, "test")
        beside.join()

    assert (run.partial, run.counts.waiting) == (None, 0)
    assert run.counts.broken >= len(SITES)
    assert run.counts.sent == run.counts.stored + run.counts.duplicate
    found = reconcile([tmp_path / "ledger"], [], processes.database.dsn)
    assert found.conserved, found.differences


def test_a_broker_without_ingest_is_told_at_once(
    target: Target, processes: Processes, tmp_path: Path
) -> None:
    for process in processes.running:
        process.terminate()
        process.wait()
    asyncio.run(processes.broker.forget_ingest_sessions())
    with _conducting(target, tmp_path / "ledger") as conductor:
        run = conductor.play(replace(PLAN, duration_s=60), "test")

    assert run.partial is not None
    assert "suifang ingest" in run.partial
    assert run.counts.again > 0, "as a gateway does"


def test_a_gateway_the_broker_does_not_know_is_told_with_a_remedy(
    target: Target, tmp_path: Path
) -> None:
    wrong = Target(
        host=target.host, port=target.port, sites=SITES, logins=[Login("nobody", "x")] * 3
    )
    with (
        pytest.raises(LoadError, match="--gateways-file"),
        _conducting(wrong, tmp_path / "ledger"),
    ):
        pass


def test_stopped_it_reports_what_it_did(
    target: Target, processes: Processes, tmp_path: Path
) -> None:
    listed = tmp_path / "gateways.csv"
    rows = [f"{login.user},east,{login.password}\n" for login in target.logins]
    listed.touch(mode=0o600)
    listed.write_text("gateway,centre,password\n" + "".join(rows), "utf-8")
    arguments = ["--broker", f"{target.host}:{target.port}", "--gateways-file", str(listed)]
    arguments += ["--rate", "100", "--seconds", "600", "--report", str(tmp_path / "report")]
    with subprocess.Popen(
        [COMMAND, "simulate", "load", *arguments], stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        _wait_for(process, "5 s:")
        process.send_signal(signal.SIGTERM)
        rest = process.stderr.read()

    assert process.returncode == 130, rest
    report: dict[str, Any] = json.loads((tmp_path / "report" / "report.json").read_text())
    assert report["partial"] == "stopped by SIGTERM"
    assert report["passed"] is False
    assert report["counts"]["sent"] > 0
    assert "This run is partial" in (tmp_path / "report" / "report.html").read_text()
    found = reconcile([tmp_path / "report" / "ledger.ndjson"], [], processes.database.dsn)
    assert found.conserved, found.differences


def test_without_receipts_the_broker_alone_is_enough_and_the_report_says_so(
    target: Target, processes: Processes, tmp_path: Path
) -> None:
    for process in processes.running:
        process.terminate()
        process.wait()
    asyncio.run(processes.broker.forget_ingest_sessions())
    alone = replace(target, with_receipts=False)
    with _conducting(alone, tmp_path / "ledger") as conductor:
        run = conductor.play(PLAN, "test")

    counts = run.counts
    assert (run.partial, counts.waiting, counts.receipted, counts.again) == (None, 0, 0, 0)
    assert counts.sent == counts.acknowledged == run.latencies.acknowledged.total > 400
    now = utc_now()
    report = describe_load("Load", run, started_at=now, ended_at=now, data={})
    assert report.passed
    assert "No receipts were asked for" in report.as_dict()["summary"][0]
    assert "stored" not in {figure["name"] for figure in report.as_dict()["figures"]}


@contextmanager
def _private_load(
    stack: Stack, *arguments: str
) -> Iterator[tuple["subprocess.Popen[str]", dict[int, str]]]:
    """A load on a private stack, some seconds under way, and its children."""
    with subprocess.Popen(
        [COMMAND, "simulate", "load", "--rate", "50", "--seconds", "600", *arguments],
        env={**os.environ, "SUIFANG_HOME": str(stack.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        _wait_for(process, "5 s:")
        yield process, _children_of(process.pid)


@pytest.mark.slow
def test_a_private_stack_whose_ingest_dies_leaves_a_report_and_nothing_else(
    stack: Stack, tmp_path: Path
) -> None:
    arguments = ["--gateways", "3", "--tls", "--report", str(tmp_path), "--json"]
    with _private_load(stack, *arguments) as (process, children):
        (ingest,) = [pid for pid, command in children.items() if "ingest" in command]
        os.kill(ingest, signal.SIGKILL)
        said, complained = process.communicate(timeout=240)

    assert process.returncode == 1, complained
    report = json.loads(said)
    assert report == json.loads((tmp_path / "report.json").read_text())
    assert "ingest ended" in report["partial"]
    assert report["counts"]["stored"] > 0
    assert {"ingest", "broker", "postgres_serving", "simulator", "machine"} <= report["samples"][0][
        "cores"
    ].keys()
    assert len(children) >= 3
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert not Stack(stack.home / "load").status().running


@pytest.mark.slow
def test_a_private_load_that_is_killed_leaves_no_process_and_the_next_one_runs(
    stack: Stack, tmp_path: Path
) -> None:
    arguments = ["--gateways", "3", "--report", str(tmp_path)]
    with _private_load(stack, *arguments) as (process, children):
        left = [found for pid in children if (found := identify(pid)) is not None]
        services = [each.pid for each in Stack(stack.home / "load").status().services]
        left += [found for pid in services if pid and (found := identify(pid)) is not None]
        assert len(left) >= 6, "ingest, judge, dispatcher, the keeper, broker and PostgreSQL"
        process.kill()
        process.wait()

    deadline = time.monotonic() + _PATIENCE_S
    while any(map(is_alive, left)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not [each for each in left if is_alive(each)]
    load = PrivateStack(PLAN, lambda _: None, with_receipts=False)
    with load.opened() as target:
        assert len(target.sites) == PLAN.gateways


@pytest.mark.slow
def test_a_private_stack_is_one_load_s_and_a_broker_that_ends_ends_the_load(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SUIFANG_HOME", str(stack.home))
    private = Stack(stack.home / "load")
    private.up()  # As after a load that was killed, its keeper too.
    load = PrivateStack(PLAN, lambda _: None, with_receipts=False)
    with load.opened() as target:
        with pytest.raises(LoadError, match="Another command has held"), load.opened():
            pass
        beside = threading.Timer(2.0, private.stop, ["broker"])
        with _conducting(target, tmp_path / "ledger") as conductor:
            beside.start()
            run = conductor.play(replace(PLAN, duration_s=600), "test")
            beside.join()

    assert run.partial is not None
    assert "broker ended" in run.partial
    assert run.counts.sent > 0
    assert not any(service.pid for service in private.status().services)


def _wait_for(process: "subprocess.Popen[str]", words: str) -> None:
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line)
        if words in line:
            return
    pytest.fail(f"never said {words!r}: {told}")


def _children_of(parent: int) -> dict[int, str]:
    found = subprocess.run(
        ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(parent)],  # Whole, whatever COLUMNS is.
        capture_output=True,
        text=True,
        check=True,
    )
    pairs = (line.split(maxsplit=1) for line in found.stdout.splitlines())
    return {int(pid): command for pid, command in pairs}
