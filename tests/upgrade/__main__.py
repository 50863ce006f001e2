"""``make upgrade FROM=<commit>``: an older version's processes beside the newer schema.

A database made by the older program takes readings. It is migrated by this one while all of the
older processes work on; this version's join them, take over what is done by one (dispatcher,
deliver, notify), and at last are alone. Somebody reads the older API the whole time. Exit 1 with
what is wrong unless every reading is there and judged as this version judges it, the feed has no
gap, its subscriber was told of every event in order, and no process fell over.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from ingest.db import migrate
from tests.fix_processes import COMMAND as SUIFANG
from tests.fix_processes import eventually
from tests.integration.backup_bench import CENTRE, GATEWAY, running
from tests.upgrade.crew import COMMAND, ELECTED, PROCESSES, Crew
from tests.upgrade.reader import reading
from tests.upgrade.receiver import a_receiver

ROOT = Path(__file__).parents[2]
ENROL = f"""
import asyncio, sys
from ingest.db.connections import connect
from tests.builders import enrol
async def run():
    async with await connect(sys.argv[1], application_name="upgrade", autocommit=True) as opened:
        await enrol(opened, gateways={{"{GATEWAY}": "{CENTRE}"}})
asyncio.run(run())"""
SECONDS = 3.0
PATIENCE_S = 240.0
FEED = "SELECT count(*) = max(number) AND min(number) = 1 FROM outbox"
NUMBERED = "SELECT count(*) FROM outbox WHERE number IS NULL"
DUE = "SELECT (SELECT count(*) FROM due_mark) + (SELECT count(*) FROM due_batch)"
NEWEST = "SELECT coalesce(max(number), 0) FROM outbox"


def say(step: str) -> None:
    """Tell where we are."""
    sys.stdout.write(f"upgrade: {step}\n")
    sys.stdout.flush()


def wait(holds: Callable[[], bool]) -> None:
    """Wait until something holds, however slow the machine is."""
    eventually(holds, within_s=PATIENCE_S)


def walk(old: Crew, new: Crew) -> list[str]:
    """The upgrade; what is wrong with it."""
    installation = old.installation
    old.start(*PROCESSES)
    wait(lambda: all(old.is_ready(name) for name in PROCESSES))
    installation.address = installation.processes.start_gateway(GATEWAY, CENTRE)
    old.set_up_telling()
    say(f"{installation.send('before', SECONDS)} readings under the older version")
    with reading(old.api) as reader:
        faults = _replace(old, new)
    faults += reader.faults
    say(
        f"the older API answered {reader.answers} times, {reader.again} of them 'try again': "
        f"{', '.join(reader.paths)}"
    )
    old.end()
    new.start("ingest")  # Under the number of the one that left: what waits for it is taken.
    say(f"{installation.send('after', SECONDS)} readings under this version")
    _settle(new)
    faults += _judge(new)
    new.end()
    return faults + old.fell + new.fell


def _replace(old: Crew, new: Crew) -> list[str]:
    """The schema, then all but ingest and the API, which go on with the older ones."""
    installation = old.installation
    before = installation.ask("SELECT version_num FROM alembic_version")
    migrate.upgrade(installation.dsn)
    after = installation.ask("SELECT version_num FROM alembic_version")
    say(f"migrated from {before} to {after}, all older processes running")
    say(f"{installation.send('between', SECONDS)} readings on the newer schema")
    _settle(old)
    new.start(*PROCESSES, client_id="ingest-1")
    wait(lambda: all(new.is_ready(name) for name in PROCESSES))
    faults = [f"new {name} did not stand by" for name in ELECTED if new.is_elected(name)]
    say(f"{installation.send('beside', SECONDS)} readings under both versions")
    old.end("judge", *ELECTED)
    wait(lambda: all(new.is_elected(name) for name in ELECTED))
    say(f"{installation.send('taken over', SECONDS)} readings, the newer ones elected")
    _settle(old)
    return faults


def _settle(crew: Crew) -> None:
    """Everything is stored, judged, numbered, and told to the subscriber."""
    installation, receiver = crew.installation, crew.receiver
    wait(lambda: installation.waiting() == 0)
    wait(lambda: not installation.ask(DUE))
    wait(lambda: not installation.ask(NUMBERED))
    wait(lambda: max(receiver.numbers, default=0) >= installation.ask(NEWEST))


def _judge(crew: Crew) -> list[str]:
    """What is wrong with what has come of it."""
    installation, receiver = crew.installation, crew.receiver
    report = installation.reconcile()
    faults = [] if report["agrees"] else [f"readings: {report['differences']}"]
    faults += [] if installation.ask(FEED) else ["the feed has a gap"]
    faults += receiver.find_faults()
    again = subprocess.run(
        [SUIFANG, "rules", "rejudge", "--dry-run", "--json"],
        env={**os.environ, "SUIFANG_DB_DSN": installation.dsn, "JUDGE_SESSION_WAIT_S": "0.2"},
        capture_output=True,
        text=True,
        check=False,
    )
    judged = json.loads(again.stdout or "{}")
    differs = {name: n for name, n in judged.items() if n and name not in {"dry_run", "residents"}}
    if differs or not judged.get("residents"):
        faults.append(f"judged again by this version: {differs or again.stderr}")
    say(
        f"{report['taken']} readings taken, {len(set(receiver.numbers))} events told, "
        f"{receiver.pages} messages to people, {judged.get('residents')} residents judged again"
    )
    return faults


def main() -> None:
    """Check the older version out beside this one, and upgrade from it."""
    if len(sys.argv) != 2:
        sys.exit("upgrade: name the commit of the older version: make upgrade FROM=v0.1.0")
    with tempfile.TemporaryDirectory(prefix="suifang-upgrade-") as folder:
        code = Path(folder) / "old"
        code.mkdir()
        archive = subprocess.run(
            ["git", "-C", ROOT, "archive", sys.argv[1]], capture_output=True, check=False
        )
        if archive.returncode != 0:
            sys.exit(f"upgrade: {archive.stderr.decode().strip()}")
        subprocess.run(["tar", "-x", "-C", code], input=archive.stdout, check=True)

        def make_old(dsn: str) -> None:
            environment = {**os.environ, "PYTHONPATH": str(code), "SUIFANG_DB_DSN": dsn}
            for program in ([COMMAND, "migrate", "up"], [ENROL, dsn]):
                subprocess.run(
                    [sys.executable, "-c", *program], cwd=code, env=environment, check=True
                )

        with running(Path(folder), make_old) as installation, a_receiver() as receiver:
            old = Crew("old", code, installation, receiver)
            faults = walk(old, Crew("new", ROOT, installation, receiver))
            for crew_log in sorted(Path(folder).glob("*.log")) if faults else []:
                say(f"{crew_log.name}: {crew_log.read_text('utf-8')[-1_500:]}")
    for fault in faults:
        say(f"WRONG: {fault}")
    say("nothing was lost, nobody fell over" if not faults else "not as it should be")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
