"""A database that burns is put back to a chosen instant, and no reading is lost.

What was acknowledged before the instant is in the backup and the log behind it; what comes later
waits in the gateways' spools until the database is there again.
"""

import shutil
from datetime import datetime
from pathlib import Path

import pytest

from tests.fix_processes import eventually
from tests.integration.backup_bench import CENTRE, GATEWAY, Installation, enrol_gateway, running


@pytest.mark.slow
async def test_a_destroyed_database_is_put_back_to_an_instant_with_nothing_lost(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as installation:
        await enrol_gateway(installation)
        _before_the_fire(installation)
        kept = installation.ask("SELECT count(*) FROM reading")
        instant = str(installation.as_superuser("SELECT clock_timestamp()")[0][0].isoformat())
        _a_mistake(installation)

        installation.destroy_database()
        later = installation.send("during", 2)
        assert installation.waiting() >= later  # Nobody is there; the gateway keeps them.

        restored = installation.backup("restore", str(installation.data), "--at", instant)
        installation.stack.start("postgres")
        eventually(lambda: not installation.ask("SELECT pg_is_in_recovery()"), within_s=120)
        assert installation.ask("SELECT count(*) FROM reading") >= kept
        installation.processes.running[0].kill()  # The log is of a new timeline now.
        installation.receive_log()
        eventually(lambda: installation.waiting() == 0, within_s=120)

        report = installation.reconcile()
        assert report["agrees"], report
        assert report["taken"] >= kept + later  # Duplicates are taken, too, and not stored.
        assert datetime.fromisoformat(restored["instant"]) == datetime.fromisoformat(instant)
        _rehearse(installation, installation.ask("SELECT count(*) FROM reading"))


def _before_the_fire(installation: Installation) -> None:
    """A base backup, the log received as it is written, and readings before and after."""
    installation.receive_log()
    installation.processes.start_ingest()
    installation.address = installation.processes.start_gateway(GATEWAY, CENTRE)
    installation.send("early", 2)
    base = installation.backup("take")
    assert base["bytes"] > 0
    installation.send("late", 2)  # In the log only.
    eventually(lambda: installation.waiting() == 0, within_s=120)


def _a_mistake(installation: Installation) -> None:
    """What a restore to the end of the log would faithfully repeat."""
    installation.ask("DELETE FROM reading RETURNING 1")
    assert installation.ask("SELECT count(*) FROM reading") == 0


def _rehearse(installation: Installation, readings: int) -> None:
    """The new timeline gets a backup of its own, which is rehearsed beside the running server."""
    installation.backup("take")
    drilled = installation.backup("drill")
    (found,) = drilled["databases"]
    assert (found["readings"], found["conserved"]) == (readings, True)
    assert drilled["checksums_verified"]
    listed = installation.backup("list")
    assert len(listed["bases"]) == 2
    assert listed["log"]["gaps"] == []
    assert installation.backup("prune", "--keep", "2") == {"gone": []}

    newest = Path(listed["bases"][-1]["folder"])
    damaged = newest / "base.tar.gz"
    damaged.write_bytes(damaged.read_bytes()[:-4_096])
    assert "tar failed" in installation.try_backup("drill").stderr
    shutil.rmtree(newest)
