"""Whatever instruction ``kill -9`` hits, nothing that was taken is lost.

Frozen batches are whole and the counters add up.
"""

import json
import random
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

from gateway.counters import read_counters, waiting_ids
from gateway.spool import Spool

WRITER = Path(__file__).with_name("spool_writer.py")
ROOT = Path(__file__).parents[3]
KILLS = 30


def run_and_kill(path: Path, after_s: float) -> dict[str, set[str]]:
    """Run the writer and kill it; return the ids it reported, by word."""
    command = [sys.executable, str(WRITER), str(path)]
    environment = {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline()]
        time.sleep(after_s)
        writer.kill()
        lines += writer.stdout.readlines()
    said = defaultdict(set)
    for word, *ids, end in (line.split() for line in lines if line.endswith(" .\n")):
        assert end == "."
        said[word].update(ids)
    return said


def test_nothing_that_was_taken_is_lost_by_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "spool.db"
    chance = random.Random(20260302)  # noqa: S311 - a reproducible test
    taken: set[str] = set()
    confirming: set[str] = set()
    waiting: set[str] = set()

    for _ in range(KILLS):
        said = run_and_kill(path, chance.uniform(0, 0.08))
        taken |= said["taken"]
        confirming |= said["confirming"]

        waiting = {str(identifier) for identifier in waiting_ids(path)}
        counters = read_counters(path)
        assert taken - confirming <= waiting
        assert counters.conserved
        assert counters.accepted >= len(taken)

    with Spool(path, gateway="g1", rows_max=10**6, bytes_max=10**9) as spool:
        frozen: list[str] = []
        for batch in spool.unreceipted():
            frozen += [reading["id"] for reading in json.loads(batch.payload)["readings"]]
        assert set(frozen) <= waiting
        assert len(set(frozen)) == len(frozen)
        assert spool.waiting_rows == len(waiting)
        assert spool.unbatched_rows == len(waiting) - len(frozen)
    assert confirming
    assert len(taken) > KILLS
