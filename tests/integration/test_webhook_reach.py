"""Promise: a webhook goes where it may, to whom it says it is, and tells what its owner may see."""

import ssl
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from psycopg.types.json import Jsonb

from api.auth import api_keys
from api.auth.permissions import Role
from api.enrolment.authority import Authority, to_pem
from api.webhooks.owners import write_reach
from gateway.wire.times import utc_now
from ingest.db.connections import Connection
from tests.certificates import a_key, key_pem
from tests.fix_db import Database
from tests.integration.api_processes import tell
from tests.integration.security_world import a_principal, build_world
from tests.integration.webhook_bench import (
    Receiver,
    a_bench,
    a_receiver,
)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with a_receiver() as listening:
        yield listening


# --- where it goes -------------------------------------------------------------------------------


async def test_a_name_that_means_this_machine_is_not_gone_to(
    database: Database, connection: Connection, receiver: Receiver
) -> None:
    async with a_bench(database, connection, allowed=["10.9.9.0/24"]) as bench:
        await bench.subscribe(receiver.url("localhost"))
        await tell(connection, "anna")
        await bench.turn()
        problem = (await bench.standing())["last_problem"]

    assert "no address that may be reached" in problem
    assert receiver.requests == []


async def test_a_name_is_looked_up_once_and_only_what_was_checked_is_connected_to(
    database: Database, connection: Connection, receiver: Receiver
) -> None:
    asked: list[str] = []
    answers = [["127.0.0.1"], ["10.0.0.1", "169.254.169.254"], ["10.0.0.1", "127.0.0.1"]]

    async def rebinding(host: str, _: int) -> Sequence[str]:
        asked.append(host)
        return answers[len(asked) - 1]

    async with a_bench(database, connection, allowed=["127.0.0.1/32"], resolver=rebinding) as bench:
        await bench.subscribe(receiver.url("hooks.example"))
        await tell(connection, "anna", 2)
        await bench.turn()
        assert "no address" in (await bench.standing())["last_problem"]
        bench.clock.pass_by(minutes=1)
        await bench.turn()

    assert asked == ["hooks.example"] * 3
    assert receiver.numbers == [1, 2]
    assert receiver.requests[0].headers["host"] == f"hooks.example:{receiver.port}"


def tls_of(name: str, folder: Path) -> tuple[Path, ssl.SSLContext]:
    """An authority's file, and what a receiver needs whose name it has signed."""
    authority = Authority.make("Receivers", at=utc_now())
    key = a_key()
    certificate = authority.sign_server([name], key.public_key(), at=utc_now())
    (folder / "server.pem").write_text(key_pem(key) + to_pem(certificate))
    (folder / "ca.pem").write_text(authority.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return folder / "ca.pem", context


async def test_a_receiver_proves_its_name_though_its_number_is_connected_to(
    database: Database, connection: Connection, tmp_path: Path
) -> None:
    ca_file, tls = tls_of("hooks.example", tmp_path)

    async def to_here(_: str, __: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async with (
        a_receiver(tls) as receiver,
        a_bench(database, connection, ca_file=ca_file, resolver=to_here) as bench,
    ):
        await bench.subscribe(receiver.url("hooks.example"), "right")
        await bench.subscribe(receiver.url("other.example"), "wrong")
        await tell(connection, "anna")
        await bench.turn("right")
        await bench.turn("wrong")
        problem = (await bench.standing("wrong"))["last_problem"]

    assert receiver.numbers == [1]
    assert problem.startswith("certificate refused")


# --- for whom ------------------------------------------------------------------------------------


async def test_a_subscription_tells_what_its_owner_may_see_and_wants(
    database: Database, connection: Connection, receiver: Receiver
) -> None:
    await build_world(connection)
    async with a_bench(database, connection) as bench:
        await bench.subscribe(receiver.url(), types=["alert.raised"])
        south = a_principal(Role.CONTRACT_SYSTEM, centres="south", kind="machine")
        reach = write_reach(south)
        await connection.execute(
            "UPDATE webhook SET owner = 'x', reach = %s, after = 0",
            (Jsonb(reach),),
        )
        await tell(connection, "carl")  # Of another kind.
        assert await bench.turn() == 2
        cursor = await connection.execute(
            "SELECT e.subject, e.object, e.things, h.resident_id FROM audit_entry e "
            "JOIN audit_handle h ON h.handle = ANY(e.handles) ORDER BY 4"
        )
        noted = await cursor.fetchall()

    assert noted == [("x", "webhook", ["w"], "carl"), ("x", "webhook", ["w"], "stub-s")]
    about = [request.body for request in receiver.requests]
    assert b"carl" in about[0]
    assert b"stub-s" in about[1]


async def test_a_key_that_is_taken_back_ends_what_it_asked_for(
    database: Database, connection: Connection, receiver: Receiver
) -> None:
    async with a_bench(database, connection) as bench:
        await bench.subscribe(receiver.url())
        system = a_principal(Role.CONTRACT_SYSTEM, kind="machine")
        await connection.execute(
            "UPDATE webhook SET owner = 'client:c', reach = %s",
            (Jsonb(write_reach(system)),),
        )
        await add_key(connection, bench.clock())
        await tell(connection, "anna", 2)
        assert await bench.turn() == 2
        await connection.execute("UPDATE api_key SET revoked_at = created_at")
        await tell(connection, "anna")
        assert await bench.turn() == 0
        cursor = await connection.execute("SELECT parked_because FROM webhook")
        because = await cursor.fetchall()

    assert because == [("owner",)]
    assert receiver.numbers == [1, 2]


async def add_key(connection: Connection, at: datetime) -> None:
    await connection.execute(
        "INSERT INTO api_key (id, client, secret_hash, role, team_ids, centre_ids, created_at, "
        "expires_at) VALUES ('k', 'c', %s, 'contract_system', '{}', '{}', %s, %s)",
        (api_keys.hash_secret("x"), at, at + timedelta(days=1)),
    )
