"""``suifang bench`` measures real processes, and tells no time of what was not done."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from deploy.bench.city.asking import WEIGHTS
from deploy.embedded.stack import Stack

_COMMAND = Path(sys.executable).with_name("suifang")
_SPREAD = {"min", "median", "max"}


def _run(home: Path, *arguments: str, what: str = "ingest") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [_COMMAND, "bench", what, *arguments],
        env={**os.environ, "SUIFANG_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )


@pytest.mark.slow
def test_a_small_benchmark_tells_rates_ratios_and_whose_time_it_was(stack: Stack) -> None:
    said = _run(
        stack.home,
        *("--readings", "2000", "--gateways", "5", "--residents", "300", "--rounds", "1"),
        *("--peer", "naive", "--step", "rate", "--step", "latency", "--step", "drain"),
        *("--latency-rate", "200", "--seconds", "3", "--backlog", "3000", "--live-seconds", "2"),
        "--json",
    )

    assert said.returncode == 0, said.stderr
    report: dict[str, Any] = json.loads(said.stdout)
    assert report == json.loads((stack.home / "bench" / "bench.json").read_text())
    assert report["readings_per_s"].keys() == {"suifang", "naive"}
    assert report["ratios"].keys() == {"naive"}
    for spread in (*report["readings_per_s"].values(), *report["ratios"].values()):
        assert spread.keys() == _SPREAD
        assert 0 < spread["min"] <= spread["median"] <= spread["max"]
    assert report["cpu_us_per_reading"]["suifang"].keys() == {
        "ingest",
        "publisher",
        "broker",
        "postgres_serving",
        "postgres_rest",
    }
    assert [(lap["contender"], lap["readings"]) for lap in report["laps"]] == [
        ("suifang", 2_000),
        ("naive", 400),
    ]
    latency = report["latency"]
    assert latency["publish_to_receipt"]["count"] == 600
    assert latency["publish_to_alert"]["count"] == latency["publish_to_alert"]["raised"] > 0
    assert report["drain"]["backlog"] == 3_000
    assert report["drain"]["live_unreceipted"] == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--peer", "fast"], "there is no 'fast'; choose from pathway_persisted, naive"),
        (["--step", "quick"], "there is no 'quick'"),
        (["--batch-size", "501"], "--batch-size"),
        (["--set", "INGEST_BATCH"], "is not INGEST_NAME=VALUE"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_2(
    tmp_path: Path, arguments: list[str], problem: str
) -> None:
    said = _run(tmp_path, *arguments)

    assert said.returncode == 2
    assert problem in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1


@pytest.mark.slow
def test_the_gateway_s_costs_are_told_of_readings_that_were_stored(stack: Stack) -> None:
    options = ("--readings", "700", "--rounds", "2", "--minutes", "0.2", "--json")

    said = _run(stack.home, *options, what="gateway")

    assert said.returncode == 0, said.stderr
    report: dict[str, Any] = json.loads(said.stdout)
    for name in ("start_to_first_publish_s", "drain_readings_per_s", "drain_cpu_us_per_reading"):
        assert report[name].keys() == _SPREAD
        assert 0 < report[name]["min"] <= report[name]["max"]
    day = report["ordinary_day"]
    assert day["readings"] == 2
    assert 0 < day["resident_bytes"]["max"] <= day["peak_bytes"]


@pytest.mark.slow
def test_the_api_is_measured_before_a_city_that_it_shows(stack: Stack) -> None:
    said = _run(
        stack.home,
        *("--residents", "2500", "--readings", "5000", "--cases", "1000", "--seconds", "1"),
        *("--listeners", "20", "--processes", "1", "--connections", "4", "--json"),
        what="api",
    )

    assert said.returncode == 0, said.stderr
    report: dict[str, Any] = json.loads(said.stdout)
    for figures in (*report["reads"].values(), report["mixed"]):
        assert figures["refused"] == {}
        assert figures["answered"] > 0
    assert report["mixed"]["took"].keys() == set(WEIGHTS)
    listeners = report["listeners"]
    assert listeners["alert_everywhere_s"]["count"] == 10
    assert 0 < listeners["bytes_before"] <= listeners["peak_bytes"]
