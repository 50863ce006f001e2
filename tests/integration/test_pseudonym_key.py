"""Promise: with a new pseudonym key everybody stays who they are, whatever key a gateway has yet.

Real gateways read cards, real ingest and judge work on, while new names are joined to old ones.
"""

import asyncio
import json
import socket
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner, Result

from gateway.wire.pseudonyms import pseudonym
from gateway.wire.times import utc_now
from ingest.db import merges
from ingest.db.connections import Connection
from ingest.pseudonyms_cli import app
from tests.builders import enrol
from tests.fix_db import Database
from tests.fix_processes import Processes, eventually
from tests.integration.api_processes import an_api
from tests.integration.backup_bench import CENTRE

CARDS = [f"SYN-CARD-{number}" for number in range(8)]
KEYS = {"old": b"o" * 32, "new": b"n" * 32, "newer": b"x" * 32}


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, Path]:
    """Key files, as gateways and the contract system have them."""
    found = {}
    for name, key in KEYS.items():
        path = found[name] = tmp_path / f"{name}.key"
        path.touch(mode=0o600)
        path.write_bytes(key)
    return found


def run(*arguments: str | Path, said: str | None = None) -> Result:
    """One command, in this process: many of them are asked here."""
    return CliRunner().invoke(app, [*map(str, arguments)], input=said)


def make_map(folder: Path, old: Path, new: Path, cards: Sequence[str]) -> Path:
    """As the contract system makes it."""
    done = run("map", old, new, said="\n".join(cards) + "\n")
    assert done.exit_code == 0, done.stderr
    path = folder / f"{old.stem}-{new.stem}.csv"
    path.write_text(done.stdout)
    return path


async def joined(database: Database, path: Path, *, status: int = 0) -> dict[str, Any]:
    """What `join` says."""
    arguments = ("join", path, "--json", "--database", database.dsn)
    done = await asyncio.to_thread(run, *arguments)
    assert done.exit_code == status, done.stderr
    return dict(json.loads(done.stdout))


def measure(address: str, card: str, number: int) -> None:
    """One blood pressure of whoever's card it is."""
    host, port = address.rsplit(":", 1)
    line = {"kind": "blood_pressure", "device_id": "bp-1", "device_sequence": number}
    line |= {"card_number": card, "systolic": 150, "diastolic": 95, "unit": "mmHg"}
    at = utc_now() - timedelta(days=100 - number)
    with socket.create_connection((host, int(port)), timeout=60) as terminal:
        terminal.sendall(json.dumps({**line, "measured_at": at.isoformat()}).encode() + b"\n")
        assert json.loads(terminal.makefile().readline())["taken"]


def of(key: str, card: str) -> str:
    return pseudonym(KEYS[key], card)


def count_owned(database: Database, resident: str) -> int:
    """Readings that are this resident's, under whatever name they came."""
    with psycopg.connect(database.dsn) as connection:
        query = "SELECT count(*) FROM owned_reading WHERE owner_id = %s"
        row = connection.execute(query, [resident]).fetchone()
    return 0 if row is None else int(row[0])


@pytest.mark.slow
async def test_everybody_stays_the_same_while_gateways_change_over(
    processes: Processes,
    database: Database,
    connection: Connection,
    keys: dict[str, Path],
    tmp_path: Path,
) -> None:
    await enrol(connection, gateways={"gw-early": CENTRE, "gw-late": CENTRE})
    processes.start_ingest()
    processes.start_judge()
    old = {"GATEWAY_PSEUDONYM_KEY_FILE": str(keys["old"])}
    addresses = {
        name: processes.start_gateway(name, CENTRE, **old) for name in ("gw-early", "gw-late")
    }
    for card in CARDS:
        measure(addresses["gw-early"], card, 1)
    eventually(
        lambda: all(count_owned(database, of("old", card)) == 1 for card in CARDS), within_s=60
    )

    path = make_map(tmp_path, keys["old"], keys["new"], [*CARDS, "SYN-NOBODY"])
    told = await joined(database, path)
    again = await joined(database, path)
    processes.running[2].terminate()  # gw-early; its spool stays.
    processes.running[2].wait(timeout=60)
    new = {"GATEWAY_PSEUDONYM_KEY_FILE": str(keys["new"])}
    addresses["gw-early"] = processes.start_gateway("gw-early", CENTRE, **new)
    for card in CARDS:
        measure(addresses["gw-early"], card, 20)
        measure(addresses["gw-late"], card, 40)
    eventually(
        lambda: all(count_owned(database, of("old", card)) == 3 for card in CARDS), within_s=60
    )

    assert (told["joined"], told["unknown"], told["refused"]) == (len(CARDS), 1, 0)
    assert (again["joined"], again["already"]) == (0, len(CARDS))
    assert all(count_owned(database, of("new", card)) == 0 for card in CARDS)
    await _assert_one_case_each(database, connection)


async def _assert_one_case_each(database: Database, connection: Connection) -> None:
    """The judge sees one history: the second high visit, under the new name, is the old one's."""
    where = "SELECT count(*) FROM due_mark"
    counted = await (
        await connection.execute(
            "SELECT r.id, (SELECT count(*) FROM reading WHERE resident_id = r.id) FROM resident r"
        )
    ).fetchall()
    assert sum(number for _, number in counted) == 3 * len(CARDS)

    def judged() -> bool:
        with psycopg.connect(database.dsn) as fresh:
            waiting = fresh.execute(sql.SQL(where)).fetchone()
            cases = fresh.execute("SELECT resident_id FROM resident_case WHERE state <> 'none'")
            return waiting == (0,) and {row[0] for row in cases.fetchall()} == {
                of("old", card) for card in CARDS
            }

    eventually(judged, within_s=120)
    async with an_api(database) as api:
        for name in ("old", "new"):
            asked = await api.client.get(f"/v1/residents/{of(name, CARDS[0])}/timeline")
            assert asked.status_code == 200


async def test_a_second_rotation_joins_to_the_first_name_and_a_merge_is_followed(
    database: Database, connection: Connection, keys: dict[str, Path], tmp_path: Path
) -> None:
    await connection.execute(
        "INSERT INTO resident (id, stub, created_at)"
        " SELECT id, true, '2026-01-01' FROM unnest(%s::text[]) id",
        ([of("old", card) for card in CARDS[:2]],),
    )
    await connection.execute(
        "INSERT INTO resident_merge (resident_id, into_id, reason, author, merged_at)"
        " VALUES (%s, %s, 'registered twice', 'test', '2026-01-01')",
        (of("old", CARDS[1]), of("old", CARDS[0])),
    )
    first = await joined(database, make_map(tmp_path, keys["old"], keys["new"], CARDS))
    second = await joined(database, make_map(tmp_path, keys["new"], keys["newer"], CARDS))

    assert (first["joined"], second["joined"], second["unknown"]) == (2, 2, len(CARDS) - 2)
    person = await merges.find_person(connection, of("newer", CARDS[1]))
    assert person[0] == of("old", CARDS[0])
    assert len(person) == 6
    everybody = await merges.expand(connection, [of("new", CARDS[1])])
    assert set(everybody) == set(person)


async def test_what_cannot_be_joined_is_said_and_the_others_are(
    database: Database, connection: Connection, keys: dict[str, Path], tmp_path: Path
) -> None:
    olds = [of("old", card) for card in CARDS[:3]]
    await connection.execute(
        "INSERT INTO resident (id, stub, created_at)"
        " SELECT id, true, '2026-01-01' FROM unnest(%s::text[]) id",
        ([*olds, of("new", CARDS[0]), "somebody"],),
    )
    await connection.execute(
        "INSERT INTO resident_merge (resident_id, into_id, reason, author, merged_at)"
        " VALUES ('somebody', %s, 'a mistake', 'test', '2026-01-01')",
        (of("new", CARDS[0]),),
    )

    told = await joined(database, make_map(tmp_path, keys["old"], keys["new"], CARDS[:3]), status=1)

    assert (told["joined"], told["refused"]) == (2, 1)
    assert told["refusals"][0]["old"] == olds[0]
    assert "unmerge" in told["refusals"][0]["problem"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n", "line 1: write the columns old,new"),
        ("old,new\nr-1,\n", "line 2: write an old and a new name"),
        ("old,new\nr-1,r-1\n", "line 2: two names that differ"),
        ("old,new\nr-1,r-3\nr-2,r-3\n", "line 3: r-3 is the new name of r-1, too"),
        ("old,new\nr-1,r-2,r-3\n", "line 2: two names"),
    ],
)
def test_a_map_that_is_none_is_refused_whole_with_its_line(
    tmp_path: Path, text: str, said: str
) -> None:
    path = tmp_path / "map.csv"
    path.write_text(text, "utf-8")

    done = run("join", path, "--database", "postgresql://nobody@127.0.0.1:1/none")

    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_map_shows_no_number_and_needs_two_keys(keys: dict[str, Path]) -> None:
    done = run(
        "map", keys["old"], keys["new"], said="99000019490101001x\n\n passport:USA:X1234567\n"
    )
    same = run("map", keys["old"], keys["old"], said="")
    keys["new"].chmod(0o644)
    open_to_others = run("map", keys["old"], keys["new"], said="")

    lines = [line.split(",") for line in done.stdout.splitlines()]
    assert lines == [
        ["old", "new"],
        [of("old", "99000019490101001X"), of("new", "99000019490101001X")],
        [of("old", "passport:USA:X1234567"), of("new", "passport:USA:X1234567")],
    ]
    assert (same.exit_code, open_to_others.exit_code) == (2, 2)
    assert "same key" in same.stderr
    assert "chmod 600" in open_to_others.stderr
