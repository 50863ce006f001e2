"""A shelf of backups knows what serves an instant, and where its log has a gap."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.backup.cli import app
from deploy.backup.errors import BackupError
from deploy.backup.shelf import Base, Shelf, first_segment_of, write_record
from deploy.backup.tools import read_size
from deploy.backup.watching import BackupMetrics

AT = datetime(2026, 11, 30, 9, 15, tzinfo=UTC)


def a_base(shelf: Shelf, began_at: datetime) -> Base:
    folder = shelf.place_for(began_at)
    folder.mkdir(parents=True)
    base = Base(
        folder=folder,
        system="7",
        major=17,
        began_at=began_at,
        ended_at=began_at + timedelta(minutes=5),
        seconds=300.0,
        bytes=1,
        first_segment="000000010000000000000003",
    )
    write_record(folder, base)
    return base


def segments(shelf: Shelf, *names: str) -> None:
    for name in names:
        folder = shelf.timeline(int(name[:8], 16))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"w" * 16)


def test_an_instant_is_served_by_the_newest_backup_that_had_ended(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    first, second = a_base(shelf, AT), a_base(shelf, AT + timedelta(days=1))

    assert shelf.base_for(None, bool) == second
    assert shelf.base_for(second.ended_at, bool) == second
    assert shelf.base_for(second.ended_at - timedelta(seconds=1), bool) == first
    with pytest.raises(BackupError, match="no base backup that had ended by"):
        shelf.base_for(AT, bool)


def test_two_backups_begun_within_one_second_have_a_place_each(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    first, second = a_base(shelf, AT), a_base(shelf, AT + timedelta(milliseconds=400))

    assert shelf.bases() == [first, second]


def test_a_missing_segment_is_a_gap_and_a_new_timeline_is_none(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    whole = ("0000000100000000000000FE", "0000000100000000000000FF", "000000010000000100000000")
    segments(shelf, *whole, "000000020000000100000000.partial")
    assert (shelf.log().gaps, shelf.log().bytes) == ([], 64)

    segments(shelf, "000000010000000100000003")
    assert shelf.log().gaps == ["000000010000000100000001"]


def test_a_segment_begun_in_front_of_a_gap_counts_as_missing(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    segments(shelf, "000000010000000000000003", "000000010000000000000004.partial")
    assert shelf.log().gaps == []

    fresh = shelf.behind_gap("000000010000000000000005")
    fresh.mkdir()
    segments(shelf, "000000010000000000000005")

    assert shelf.timeline(1) == fresh
    assert (fresh / "000000010000000000000005").is_file()
    assert shelf.log().gaps == ["000000010000000000000004"]


def test_a_gap_fails_the_list_and_says_what_to_do(tmp_path: Path) -> None:
    a_base(Shelf(tmp_path), AT)
    segments(Shelf(tmp_path), "000000010000000000000003", "000000010000000000000005")

    said = CliRunner().invoke(app, ["list", "--shelf", str(tmp_path)])

    assert said.exit_code == 1
    assert "a gap begins at 000000010000000000000004: take a base backup now" in said.output


def test_a_watch_counts_gaps_and_takes_what_it_cannot_see_for_missing(tmp_path: Path) -> None:
    metrics = BackupMetrics()
    ask = metrics.registry.get_sample_value
    base = a_base(Shelf(tmp_path), AT)
    segments(Shelf(tmp_path), "000000010000000000000003", "000000010000000000000005")

    metrics.look(Shelf(tmp_path), "host=127.0.0.1 port=1 dbname=x")

    assert ask("suifang_backup_log_gaps") == 1
    assert ask("suifang_backup_base_end_timestamp_seconds") == base.ended_at.timestamp()
    assert ask("suifang_backup_log_reached") == 0
    first, second = metrics.find_problems()
    assert "a gap begins at" in first
    assert "does not let a backup in" in second
    (base.folder / "backup.json").write_text("{}")
    metrics.look(Shelf(tmp_path), "host=127.0.0.1 port=1 dbname=x")
    assert ask("suifang_backup_base_end_timestamp_seconds") == 0
    assert "damaged" in metrics.find_problems()[0]


@pytest.mark.parametrize(
    ("text", "size"), [("16GB", 16 * 1024**3), ("64MB", 64 * 1024**2), ("-1", float("inf"))]
)
def test_a_size_is_read_as_postgresql_shows_it(text: str, size: float) -> None:
    assert read_size(text) == size


def test_an_instant_without_offset_is_refused(tmp_path: Path) -> None:
    said = CliRunner().invoke(
        app, ["drill", "--shelf", str(tmp_path), "--at", "2026-11-30T09:15:00"]
    )

    assert said.exit_code == 2


def test_the_first_segment_comes_from_the_manifest(tmp_path: Path) -> None:
    manifest = tmp_path / "backup_manifest"
    manifest.write_text('{"WAL-Ranges":[{"Timeline":1,"Start-LSN":"2/FE000028","End-LSN":"3/0"}]}')

    assert first_segment_of(manifest) == "0000000100000002000000FE"
    manifest.write_text("{}")
    with pytest.raises(BackupError, match="no manifest"):
        first_segment_of(manifest)
