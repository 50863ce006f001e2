"""A box gets its certificate, whatever cuts it short, and its key stays where it was made."""

import asyncio
import json
import os
import stat
import subprocess
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from gateway.enrolment.folder import IdentityFolder
from gateway.enrolment.renewal import Outcome, Renewer
from gateway.enrolment.requests import make_key
from gateway.errors import SettingsError
from gateway.runtime import Gateway
from gateway.settings import GatewaySettings
from gateway.tls import TlsFiles, build_context
from gateway.wire.times import utc_now
from ingest.db import enrolments
from ingest.db.connections import Connection
from tests.fix_broker import TestBroker
from tests.fix_db import Database
from tests.fix_processes import COMMAND
from tests.integration.enrolment_bench import EnrolmentBench, a_token, an_enrolment_bench, run
from tests.integration.gateway_bench import say


@pytest.fixture
async def bench(
    database: Database, connection: Connection, broker: TestBroker
) -> AsyncIterator[EnrolmentBench]:
    """An API that signs with the authority that the broker trusts; certificates for a day."""
    authority = broker.stack.authority
    days = {"API_CERTIFICATE_DAYS": "1"}
    async with an_enrolment_bench(database, connection, authority, **days) as found:
        yield found


async def enroll(
    bench: EnrolmentBench, folder: Path, token: str, *more: str
) -> "subprocess.CompletedProcess[str]":
    arguments = ("gateway", "enroll", "--api", bench.address, "--directory", folder, "--json")
    return await asyncio.to_thread(run, *arguments, *more, said=token + "\n")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is awaited has no event
            await asyncio.sleep(0.05)


async def test_a_token_and_an_address_are_all_that_a_box_needs(
    bench: EnrolmentBench, connection: Connection, tmp_path: Path
) -> None:
    folder = tmp_path / "deep" / "identity"
    token = await a_token(connection, "gw-9")

    said = await enroll(bench, folder, token)

    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["gateway"] == "gw-9"
    assert token not in said.stdout + said.stderr
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert set(modes.values()) == {0o600}
    assert modes.keys() == {"identity.pem", "ca.pem", "api.json", ".lock"}
    build_context(TlsFiles.of_folder(folder))
    assert not any(token in path.read_text() for path in folder.iterdir())


async def test_run_again_it_does_nothing_and_needs_no_token(
    bench: EnrolmentBench, connection: Connection, tmp_path: Path
) -> None:
    folder = tmp_path / "identity"
    first = await enroll(bench, folder, await a_token(connection))
    before = (folder / "identity.pem").read_bytes()

    second = await enroll(bench, folder, "")

    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == second.stdout
    assert (folder / "identity.pem").read_bytes() == before
    assert await bench.count_certificates() == 1


async def test_with_a_new_token_a_box_is_enrolled_again_when_asked_to(
    bench: EnrolmentBench, connection: Connection, tmp_path: Path
) -> None:
    folder = tmp_path / "identity"
    await enroll(bench, folder, await a_token(connection, "gw-1"))
    refused = await enroll(bench, folder, "sfe-wrong", "--again")
    kept = IdentityFolder(folder).read()
    again = await enroll(bench, folder, await a_token(connection, "gw-2"), "--again")

    assert refused.returncode == 1
    assert "suifang pki token" in refused.stderr
    assert kept is not None
    assert kept.gateway_id == "gw-1"
    assert json.loads(again.stdout)["gateway"] == "gw-2"


async def test_killed_at_any_moment_the_same_command_goes_on_and_one_certificate_is_given(
    bench: EnrolmentBench, connection: Connection, tmp_path: Path
) -> None:
    folder, token = tmp_path / "identity", await a_token(connection)
    arguments = [str(COMMAND), *("gateway", "enroll", "--api", bench.address)]
    arguments += ["--directory", str(folder)]
    for turn in range(24):
        process = subprocess.Popen(  # noqa: ASYNC220 - starts in milliseconds
            arguments, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        assert process.stdin is not None
        process.stdin.write(token.encode())
        process.stdin.close()
        if turn % 2 and await asyncio.to_thread(_wait_for, folder / "pending.pem", process):
            await asyncio.sleep(0.005 * turn)  # Around the order, the answer and the files.
        else:
            await asyncio.sleep(0.03 * turn)
        process.kill()
        await asyncio.to_thread(process.wait)

    said = await enroll(bench, folder, token)

    assert said.returncode == 0, said.stderr
    build_context(TlsFiles.of_folder(folder))
    assert await bench.count_certificates() == 1
    serial = json.loads(said.stdout)["serial"]
    cursor = await connection.execute("SELECT serial FROM gateway_certificate")
    assert await cursor.fetchall() == [(serial,)]


def _wait_for(path: Path, process: "subprocess.Popen[bytes]") -> bool:
    while not path.exists():
        if process.poll() is not None:
            return False
    return True


async def test_an_answer_that_was_lost_is_given_again(
    bench: EnrolmentBench, connection: Connection, tmp_path: Path
) -> None:
    """The box died after the API had signed and before it had stored anything."""
    folder, token = IdentityFolder(tmp_path / "identity"), await a_token(connection)
    key = make_key()
    folder.make()
    folder.write_pending(key)
    loaded = serialization.load_pem_private_key(key.encode(), password=None)
    lost = await bench.enrol(token, loaded)  # type: ignore[arg-type]  # ours is EC
    assert lost.status_code == 201

    said = await enroll(bench, folder.path, token)

    assert json.loads(said.stdout)["serial"] == lost.json()["serial"]


async def test_the_key_never_leaves_the_box(
    bench: EnrolmentBench, connection: Connection, tmp_path: Path
) -> None:
    """All that the API got is in the database; the private number is nowhere in it."""
    folder = tmp_path / "identity"
    await enroll(bench, folder, await a_token(connection))
    pem = (folder / "identity.pem").read_bytes()
    key = serialization.load_pem_private_key(pem, password=None)
    number = f"{key.private_numbers().private_value:x}"  # type: ignore[union-attr]

    cursor = await connection.execute("SELECT t::text, certificate FROM gateway_certificate t")
    held = str(await cursor.fetchall())

    assert number not in held
    assert "PRIVATE KEY" not in held
    assert not [path for path in folder.iterdir() if path.name.startswith(".identity")]


@pytest.mark.parametrize(
    ("api", "reason"),
    [
        ("http://broker.example", "https://"),
        ("ftp://127.0.0.1", "https://"),
        ("broker.example", "https://"),
        ("https://user:secret@broker.example", "https://"),
        ("http://127.0.0.1:1", "cannot be reached"),
    ],
)
def test_a_token_goes_nowhere_in_clear_text_or_by_mistake(
    tmp_path: Path, api: str, reason: str
) -> None:
    said = run(
        *("gateway", "enroll", "--api", api, "--directory", tmp_path / "identity"),
        said="sfe-token",
    )

    assert said.returncode == 1
    assert reason in said.stderr
    assert len(said.stderr.strip().splitlines()) == 1


async def test_two_commands_at_once_do_not_mix_their_keys(
    bench: EnrolmentBench, connection: Connection, tmp_path: Path
) -> None:
    folder, token = tmp_path / "identity", await a_token(connection)

    said = await asyncio.gather(*(enroll(bench, folder, token) for _ in range(4)))

    assert 0 in {each.returncode for each in said}
    build_context(TlsFiles.of_folder(folder))
    assert await bench.count_certificates() == 1


# --- renewal -------------------------------------------------------------------------------------


async def test_renewed_by_hand_it_has_a_new_key_and_the_old_one_is_gone(
    bench: EnrolmentBench, connection: Connection, tmp_path: Path
) -> None:
    folder = tmp_path / "identity"
    await enroll(bench, folder, await a_token(connection))
    before = x509.load_pem_x509_certificate((folder / "identity.pem").read_bytes())

    early = await asyncio.to_thread(
        run, "gateway", "renew", "--directory", folder, "--if-due", "--json"
    )
    said = await asyncio.to_thread(run, "gateway", "renew", "--directory", folder, "--json")

    assert json.loads(early.stdout)["serial"] == f"{before.serial_number:x}"
    assert said.returncode == 0, said.stderr
    after = x509.load_pem_x509_certificate((folder / "identity.pem").read_bytes())
    assert json.loads(said.stdout)["serial"] == f"{after.serial_number:x}"
    assert after.public_key() != before.public_key()
    build_context(TlsFiles.of_folder(folder))


async def test_a_renewal_is_due_when_a_third_of_the_life_is_left(
    bench: EnrolmentBench, connection: Connection, tmp_path: Path
) -> None:
    folder = IdentityFolder(tmp_path / "identity")
    await enroll(bench, folder.path, await a_token(connection))
    identity = folder.read()
    assert identity is not None
    due = identity.valid_from + (identity.valid_until - identity.valid_from) * 2 / 3

    def look(at: timedelta) -> Outcome:
        return Renewer(folder, lambda: due + at, check_s=1, retry_s=1).look()

    second = timedelta(seconds=1)
    assert await asyncio.to_thread(look, -second) is Outcome.NOT_DUE
    assert await asyncio.to_thread(look, second) is Outcome.RENEWED
    assert folder.read() != identity


async def test_the_running_gateway_renews_in_time_and_goes_on(
    bench: EnrolmentBench, connection: Connection, broker: TestBroker, tmp_path: Path
) -> None:
    name = f"gw-{os.urandom(4).hex()}"
    folder = IdentityFolder(tmp_path / "identity")
    await enroll(bench, folder.path, await a_token(connection, name))
    before = folder.read()
    settings = GatewaySettings(
        id=name,
        centre="east",
        broker_host=broker.host,
        broker_port=broker.stack.broker_tls_port,
        tls_identity_directory=folder.path,
        spool=tmp_path / "spool.db",
    )

    async with Gateway(settings, lambda: utc_now() + timedelta(hours=20)) as gateway:
        await until(lambda: folder.read() != before)
        assert len(await say(gateway.address, 0, 50)) == 50

    after = folder.read()
    assert after is not None
    assert after.gateway_id == name


async def test_a_revoked_gateway_goes_on_with_what_it_has_and_says_so(
    bench: EnrolmentBench,
    connection: Connection,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    folder = IdentityFolder(tmp_path / "identity")
    await enroll(bench, folder.path, await a_token(connection))
    before = folder.read_secret()
    await enrolments.revoke(connection, "gw-1", because="test", at=utc_now())
    renewer = Renewer(folder, lambda: utc_now() + timedelta(hours=20), check_s=1, retry_s=1)

    outcome = await asyncio.to_thread(renewer.look)

    assert outcome is Outcome.FAILED
    assert folder.read_secret() == before
    assert "it was revoked" in caplog.text
    assert "days left" in caplog.text


async def test_the_identity_of_another_gateway_is_refused_at_the_start(
    bench: EnrolmentBench, connection: Connection, tmp_path: Path
) -> None:
    await enroll(bench, tmp_path / "identity", await a_token(connection, "gw-1"))
    settings = GatewaySettings(
        id="gw-2",
        centre="east",
        broker_host="localhost",
        tls_identity_directory=tmp_path / "identity",
        spool=tmp_path / "spool.db",
    )

    with pytest.raises(SettingsError, match="identity of gw-1"):
        async with Gateway(settings, utc_now):
            pytest.fail("it runs")
