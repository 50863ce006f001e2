"""Marks are written with their readings or not at all, and do not grow for ever."""

from dataclasses import replace
from pathlib import Path

from gateway import fetched
from gateway.fetched import Mark
from gateway.spool import Spool
from tests.unit.gateway.gateway_builders import a_reading


def a_spool(folder: Path, rows_max: int = 1_000_000) -> Spool:
    return Spool(folder / "spool.db", gateway="g1", rows_max=rows_max, bytes_max=10**9)


def a_mark(sequence: int, device: str = "m-1", numbering: int = 0) -> Mark:
    return Mark(device, numbering, sequence, f"print-{sequence}", "b" if numbering else None)


def test_marks_are_recalled_in_order_after_a_restart(tmp_path: Path) -> None:
    marks = [a_mark(3), a_mark(7, "m-2"), a_mark(0, numbering=1)]
    with a_spool(tmp_path) as spool:
        assert spool.put([replace(a_reading(), mark=mark) for mark in marks]) == 3
    with a_spool(tmp_path) as spool:
        assert spool.recall_marks("m-1") == [marks[0], marks[2]]
        assert spool.recall_marks("m-2") == [marks[1]]
        assert spool.recall_marks("m-3") == []


def test_a_reading_that_finds_no_room_leaves_no_mark(tmp_path: Path) -> None:
    with a_spool(tmp_path, rows_max=2) as spool:
        assert spool.put([replace(a_reading(), mark=a_mark(n)) for n in range(4)]) == 2
        assert spool.recall_marks("m-1") == [a_mark(0), a_mark(1)]


def test_marks_outlive_their_readings_and_are_pruned_a_device(tmp_path: Path) -> None:
    with a_spool(tmp_path) as spool:
        spool.put([replace(a_reading(), mark=a_mark(1, "quiet"))])
        count = fetched.MARKS_MAX + 2_000
        for start in range(0, count, 500):
            spool.put(
                [
                    replace(a_reading(), mark=a_mark(n))
                    for n in range(start, min(start + 500, count))
                ]
            )
        kept = spool.recall_marks("m-1")
        assert kept[-1] == a_mark(count - 1)
        assert fetched.MARKS_MAX <= len(kept) < fetched.MARKS_MAX + 512
        assert spool.recall_marks("quiet") == [a_mark(1, "quiet")]
