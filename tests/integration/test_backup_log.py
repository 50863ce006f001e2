"""The log on the shelf: who counts as its receiver, and what is said when it is not whole.

One server of its own for all of them: each leaves it as it found it.
"""

import shutil
import subprocess
from collections.abc import Iterator
from datetime import datetime
from threading import Thread

import pytest

from tests.fix_processes import eventually
from tests.integration.backup_bench import SYNCHRONOUS, Installation, running

LATE = "2099-01-01T00:00:00+00:00"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with running(tmp_path_factory.mktemp("log")) as found:
        yield found


def test_a_base_backup_does_not_pass_for_the_receiver_of_the_log(
    installation: Installation,
) -> None:
    """A commit that waits for the receiver still waits when a base backup was taken meanwhile."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    installation.backup("take")  # Makes its login, which is a commit, too.
    installation.as_superuser(SYNCHRONOUS)
    installation.as_superuser("SELECT pg_reload_conf()")
    commit = Thread(target=installation.as_superuser, args=("CREATE TABLE acknowledged ()",))
    commit.start()
    try:
        eventually(lambda: installation.as_superuser(waiting) == [(1,)], within_s=120)
        installation.backup("take")
        assert installation.as_superuser(waiting) == [(1,)]
    finally:
        installation.as_superuser("ALTER SYSTEM RESET synchronous_standby_names")
        installation.as_superuser("SELECT pg_reload_conf()")
        commit.join()


def test_the_watch_tells_what_is_on_the_shelf_and_what_is_not(installation: Installation) -> None:
    ask = installation.start_watch()
    eventually(lambda: ask("log_reached") == 0, within_s=120)  # Nobody receives anything yet.
    receiver = installation.start_receiver()
    installation.backup("take")
    eventually(lambda: ask("log_reached") == 1 and ask("bases") > 0, within_s=120)
    bases = installation.backup("list")["bases"]
    ended = datetime.fromisoformat(bases[-1]["ended_at"]).timestamp()
    eventually(lambda: ask("base_end_timestamp_seconds") == ended, within_s=120)
    assert ask("bases") == len(bases)
    assert ask('shelf_bytes{what="bases"}') == sum(base["bytes"] for base in bases)
    assert ask("log_kept_bytes_max") == 16 * 1024**3

    _end(receiver)
    installation.write_log(2)
    eventually(lambda: ask("log_reached") == 0, within_s=120)
    eventually(lambda: ask("log_behind_bytes") > 16 * 1024**2, within_s=120)
    record = installation.shelf / "base" / bases[-1]["folder"].rpartition("/")[2] / "backup.json"
    hidden = record.rename(record.with_suffix(".hidden"))
    eventually(lambda: ask("base_end_timestamp_seconds") < ended, within_s=120)
    hidden.rename(record)
    receiver = installation.start_receiver()
    eventually(lambda: ask("log_reached") == 1, within_s=120)
    _end(receiver)


def test_a_receiver_that_died_fails_the_list_the_drill_and_the_restore(
    installation: Installation,
) -> None:
    receiver = installation.start_receiver()
    eventually(lambda: _received(installation), within_s=120)
    installation.backup("take")
    assert installation.backup("list")["problems"] == []
    assert installation.backup("drill")["checksums_verified"]
    _end(receiver)
    installation.write_log(4)

    listed = installation.try_backup("list")
    assert listed.returncode == 1
    assert "MB behind the server" in listed.stdout
    assert "MB behind the server" in installation.try_backup("drill").stderr
    installation.backup("take")  # It begins where the log on the shelf has ended before.
    scratch = installation.shelf.with_name("scratch")
    refused = installation.try_backup("restore", scratch)
    assert refused.returncode == 1
    assert "--accept-loss" in refused.stderr
    assert "--accept-loss" in installation.try_backup("restore", scratch, "--at", LATE).stderr
    assert not scratch.exists()
    installation.backup("restore", scratch, "--accept-loss")
    shutil.rmtree(scratch)


def test_a_lost_slot_is_said_once_and_the_log_goes_on_behind_a_gap(
    installation: Installation,
) -> None:
    receiver = installation.start_receiver()
    eventually(lambda: _received(installation), within_s=120)
    _end(receiver)
    installation.as_superuser("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'")
    installation.as_superuser("SELECT pg_reload_conf()")
    installation.write_log(4)
    status = "SELECT wal_status FROM pg_replication_slots"
    eventually(
        lambda: (
            not installation.as_superuser("CHECKPOINT")
            and installation.as_superuser(status) == [("lost",)]
        ),
        within_s=120,
    )
    installation.as_superuser("ALTER SYSTEM RESET max_slot_wal_keep_size")
    installation.as_superuser("SELECT pg_reload_conf()")
    assert "let go of log" in installation.try_backup("list").stdout

    first = installation.start_receiver()
    assert first.wait(timeout=240) == 1
    assert first.stdout is not None
    assert "take a base backup" in first.stdout.read()
    receiver = installation.start_receiver()
    eventually(lambda: _received(installation), within_s=120)
    installation.write_log(1)
    listed = installation.try_backup("list")
    assert "a gap begins at" in listed.stdout
    installation.backup("take")
    assert installation.backup("list")["log"]["gaps"]  # It is still there, and behind nothing.
    assert installation.backup("drill")["checksums_verified"]
    _end(receiver)


def test_an_instant_before_a_gap_and_one_of_a_left_timeline_are_restored(
    installation: Installation,
) -> None:
    installation.start_receiver()
    eventually(lambda: _received(installation), within_s=120)
    installation.backup("take")
    instants = []
    for table in ("a", "b", "bb"):
        installation.as_superuser(f"CREATE TABLE kept_{table} ()")
        instants.append(installation.as_superuser("SELECT clock_timestamp()")[0][0].isoformat())
        installation.write_log(1)
    installation.write_log(2)
    installation.backup("list")  # All of it is on the shelf.
    _check_a_gap(installation, instants[0])

    assert _put_back(installation, "--at", instants[0]) == ["kept_a"]
    installation.start_receiver()
    eventually(lambda: _received(installation), within_s=120)
    refused = installation.try_backup("restore", installation.data, "--at", instants[1])
    assert refused.returncode == 1
    assert "more than one timeline" in refused.stderr
    kept = _put_back(installation, "--at", instants[1], "--timeline", "1")
    assert kept == ["kept_a", "kept_b"]


def _check_a_gap(installation: Installation, instant: str) -> None:
    """An instant in front of it is restored, the end is not."""
    missing = max(installation.shelf.glob("wal/00000001*/*[0-9A-F]"))
    hidden = missing.rename(installation.shelf / missing.name)
    installation.write_log(2)
    eventually(lambda: _received(installation), within_s=120)
    refused = installation.try_backup("restore", installation.shelf.with_name("scratch"))
    assert refused.returncode == 1
    assert missing.name in refused.stderr
    drilled = installation.try_backup("drill", "--at", instant)
    assert drilled.returncode == 0, drilled.stderr
    assert missing.name in drilled.stderr
    hidden.rename(missing)


def _put_back(installation: Installation, *how: str) -> list[str]:
    """Destroy the server, restore it, and say which tables it holds."""
    installation.destroy_database()
    installation.backup("restore", installation.data, *how)
    installation.stack.start("postgres")
    recovering = "SELECT pg_is_in_recovery()"
    eventually(lambda: installation.as_superuser(recovering) == [(False,)], within_s=120)
    tables = "SELECT relname FROM pg_class WHERE relname LIKE 'kept\\_%' ORDER BY 1"
    return [name for (name,) in installation.as_superuser(tables)]


def _received(installation: Installation) -> bool:
    """Whether the receiver runs and has everything."""
    behind = (
        "SELECT flush_lsn >= pg_current_wal_flush_lsn() FROM pg_stat_replication"
        " WHERE application_name = 'suifang_wal'"
    )
    return installation.as_superuser(behind) == [(True,)]


def _end(receiver: "subprocess.Popen[str]") -> None:
    receiver.kill()
    receiver.wait(timeout=240)
