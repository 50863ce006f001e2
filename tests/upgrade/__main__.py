"""``make upgrade FROM=<commit>``: an older version's workers beside the newer schema, then the new.

A database made by the older program takes readings; it is migrated by this one while the older
ingest and judge work on; then this version's take over. Every reading must be there: exit 1 and
the differences if one is not. Environment and dependencies are this version's.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from ingest.db import migrate
from tests.fix_processes import Processes, eventually
from tests.integration.backup_bench import CENTRE, DATABASE, GATEWAY, Installation, running

ROOT = Path(__file__).parents[2]
COMMAND = "from deploy.cli import main; main()"
ENROL = f"""
import asyncio, sys
from ingest.db.connections import connect
from tests.builders import enrol
async def run():
    async with await connect(sys.argv[1], application_name="upgrade", autocommit=True) as opened:
        await enrol(opened, gateways={{"{GATEWAY}": "{CENTRE}"}})
asyncio.run(run())"""
SECONDS = 3.0


def say(step: str) -> None:
    """Tell where we are."""
    sys.stdout.write(f"upgrade: {step}\n")
    sys.stdout.flush()


def start_old(
    old: Path, processes: Processes, name: str, settings: dict[str, str]
) -> "subprocess.Popen[str]":
    """A process of the older version."""
    with (processes.folder / f"old-{name}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", COMMAND, name],
            cwd=old,
            env={**os.environ, "PYTHONPATH": str(old), **settings},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    processes.running.append(process)
    return process


def walk(old: Path, installation: Installation) -> bool:
    """The upgrade; whether nothing was lost and nobody of the older version fell over."""
    processes, stack = installation.processes, installation.stack
    broker = processes.broker
    ingest = {
        "INGEST_DB_DSN": stack.process_dsn("ingest", DATABASE),
        "INGEST_BROKER__PORT": str(broker.port),
        "INGEST_BROKER_PASSWORD": broker.password_of("ingest"),
    }
    judge = {"JUDGE_DB_DSN": stack.process_dsn("judge", DATABASE), "JUDGE_SESSION_WAIT_S": "0.2"}
    workers = [
        start_old(old, processes, "ingest", ingest),
        start_old(old, processes, "judge", judge),
    ]
    installation.address = processes.start_gateway(GATEWAY, CENTRE)
    say(f"{installation.send('before', SECONDS)} readings under the older version")
    before = installation.ask("SELECT version_num FROM alembic_version")
    migrate.upgrade(installation.dsn)
    after = installation.ask("SELECT version_num FROM alembic_version")
    say(f"migrated from {before} to {after}, the older workers running")
    say(f"{installation.send('between', SECONDS)} readings on the newer schema")
    eventually(lambda: installation.waiting() == 0, within_s=120)
    fell = [worker.poll() for worker in workers if worker.poll() is not None]
    for worker in workers:
        worker.terminate()
        worker.wait(timeout=60)
    processes.start_ingest()
    processes.start_judge()
    say(f"{installation.send('after', SECONDS)} readings under this version")
    eventually(lambda: installation.waiting() == 0, within_s=120)
    report = installation.reconcile()
    say(f"{report['taken']} taken, differences: {report['differences']}, fell over: {fell}")
    return bool(report["agrees"]) and not fell


def main() -> None:
    """Check the older version out beside this one, and upgrade from it."""
    if len(sys.argv) != 2:
        sys.exit("upgrade: name the commit of the older version: make upgrade FROM=v0.1.0")
    with tempfile.TemporaryDirectory(prefix="suifang-upgrade-") as folder:
        old = Path(folder) / "old"
        old.mkdir()
        archive = subprocess.run(
            ["git", "-C", ROOT, "archive", sys.argv[1]], capture_output=True, check=False
        )
        if archive.returncode != 0:
            sys.exit(f"upgrade: {archive.stderr.decode().strip()}")
        subprocess.run(["tar", "-x", "-C", old], input=archive.stdout, check=True)

        def make_old(dsn: str) -> None:
            environment = {**os.environ, "PYTHONPATH": str(old), "SUIFANG_DB_DSN": dsn}
            for program in ([COMMAND, "migrate", "up"], [ENROL, dsn]):
                subprocess.run(
                    [sys.executable, "-c", *program], cwd=old, env=environment, check=True
                )

        with running(Path(folder), make_old) as installation:
            good = walk(old, installation)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
