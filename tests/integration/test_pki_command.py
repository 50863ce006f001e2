"""What an operator types, from an empty folder to a gateway that is shut out again."""

import asyncio
import json
import re
import stat
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from cryptography import x509

from deploy.pki.folder import AuthorityFolder
from gateway.wire.enrolment import TOKEN_PATTERN
from gateway.wire.times import utc_now
from ingest.db.connections import Connection
from tests.certificates import a_context, a_key
from tests.fix_broker import TestBroker
from tests.fix_db import Database
from tests.integration.enrolment_bench import an_enrolment_bench, certificate_of, run


@pytest.fixture
def pki(tmp_path: Path) -> Path:
    """An authority's folder."""
    said = run("pki", "init", "--directory", tmp_path / "pki", "--name", "Test", "--json")
    assert said.returncode == 0, said.stderr
    return tmp_path / "pki"


def answer(*arguments: str | Path) -> dict[str, Any]:
    said = run("pki", *arguments, "--json")
    assert said.returncode == 0, said.stderr
    found: dict[str, Any] = json.loads(said.stdout)
    return found


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_authority_is_made_once_and_its_key_is_private(pki: Path) -> None:
    before = (pki / "ca.key").read_bytes()

    again = run("pki", "init", "--directory", pki)

    assert again.returncode == 1
    assert "nothing was done" in again.stderr
    assert (pki / "ca.key").read_bytes() == before
    assert (mode_of(pki), mode_of(pki / "ca.key")) == (0o700, 0o600)
    authority = x509.load_pem_x509_certificate((pki / "ca.pem").read_bytes())
    constraints = authority.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert (constraints.ca, constraints.path_length) == (True, 0)


def test_the_broker_s_certificate_has_its_names_and_is_written_down(
    pki: Path, tmp_path: Path
) -> None:
    output = tmp_path / "broker"

    answer("server", "broker.example", "10.1.2.3", "--directory", pki, "--output", output)

    served = x509.load_pem_x509_certificate((output / "server.pem").read_bytes())
    names = served.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["broker.example"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["10.1.2.3"]
    assert mode_of(output / "server.key") == 0o600
    (line,) = (pki / "issued.jsonl").read_text().splitlines()
    assert json.loads(line)["serial"] == f"{served.serial_number:x}"


def test_a_key_that_others_may_read_signs_nothing(pki: Path, tmp_path: Path) -> None:
    (pki / "ca.key").chmod(0o644)

    said = run("pki", "server", "x", "--directory", pki, "--output", tmp_path / "broker")

    assert said.returncode == 1
    assert "chmod 600" in said.stderr


@pytest.mark.parametrize("name", ["ingest", "ingest-0", "operator", "probe", "GW", "a/b", "#"])
def test_no_token_is_made_for_a_name_that_no_gateway_may_have(
    database: Database, name: str
) -> None:
    given = ("--gateway", name, "--centre", "east", "--database", database.dsn)

    said = run("pki", "token", *given)

    assert said.returncode == 2
    assert len(said.stderr.strip().splitlines()) == 1


async def test_from_a_token_to_a_revocation(
    pki: Path, database: Database, connection: Connection, tmp_path: Path
) -> None:
    async with an_enrolment_bench(database, connection, AuthorityFolder(pki)) as bench:
        where = ("--database", database.dsn)
        made = await asyncio.to_thread(
            run, "pki", "token", "--gateway", "gw-1", "--centre", "east", *where
        )
        token = made.stdout.strip()
        assert re.fullmatch(TOKEN_PATTERN, token)
        given = certificate_of(await bench.enrol(token, a_key()))

        (listed,) = (await asyncio.to_thread(answer, "list", *where))["certificates"]
        assert listed["serial"] == f"{given.serial_number:x}"
        soon = await asyncio.to_thread(run, "pki", "list", "--ends-within", "400", *where)
        late = await asyncio.to_thread(run, "pki", "list", "--ends-within", "300", *where)
        assert (soon.returncode, late.returncode) == (1, 0)

        crl = tmp_path / "crl.pem"
        files = ("--directory", pki, "--output", crl)
        assert (await asyncio.to_thread(answer, "crl", *files, *where))["revoked"] == 0
        said = await asyncio.to_thread(
            answer, "revoke", "--gateway", "gw-1", "--because", "stolen", *where
        )
        assert said["certificates"] == 1
        assert (await asyncio.to_thread(answer, "crl", *files, *where))["revoked"] == 1

    written = x509.load_pem_x509_crl(crl.read_bytes())
    assert written.get_revoked_certificate_by_serial_number(given.serial_number) is not None
    assert written.is_signature_valid(bench.authority.load().certificate.public_key())  # type: ignore[arg-type]
    assert written.next_update_utc is not None
    assert (written.next_update_utc - utc_now()).days > 3_650


async def test_tokens_for_many_sites_are_made_all_or_none(
    database: Database, connection: Connection, tmp_path: Path
) -> None:
    await connection.execute("INSERT INTO centre (id, name) VALUES ('east', 'East')")
    sites, where = tmp_path / "sites.csv", ("--database", database.dsn)
    sites.write_text("gateway,centre\n" + "".join(f"gw-{n},east\n" for n in range(200)))
    output = ("--output", tmp_path / "tokens")

    said = await asyncio.to_thread(answer, "tokens", sites, *output, *where)
    sites.write_text("gateway,centre\ngw-900,east\ngw-901,nowhere\n")
    wrong = await asyncio.to_thread(run, "pki", "tokens", sites, *output, *where)

    assert said["tokens"] == 200
    files = sorted((tmp_path / "tokens").glob("gw-?.token"))
    assert {mode_of(file) for file in files} == {0o600}
    assert wrong.returncode == 1
    cursor = await connection.execute("SELECT count(*) FROM enrolment_token")
    assert await cursor.fetchone() == (200,)


def test_revoking_nobody_is_said(database: Database) -> None:
    given = ("--gateway", "gw-404", "--because", "x", "--database", database.dsn)

    said = run("pki", "revoke", *given)

    assert said.returncode == 1
    assert "gw-404" in said.stderr


async def test_an_operator_s_certificate_commands_gateways_and_forges_nothing(
    broker: TestBroker, tmp_path: Path
) -> None:
    stack = broker.stack
    made = stack.authority.make_operator(at=utc_now())
    (tmp_path / "identity.pem").write_text(made.key + made.certificate)
    context = a_context(tmp_path, authority=stack.authority.certificate)
    probe = aiomqtt.Client(
        *(broker.host, broker.port),
        username="probe",
        password=broker.password_of("probe"),
        protocol=aiomqtt.ProtocolVersion.V5,
    )
    async with (
        probe as listener,
        aiomqtt.Client(
            *(stack.broker_host, stack.broker_tls_port),
            tls_context=context,
            protocol=aiomqtt.ProtocolVersion.V5,
        ) as operator,
    ):
        for channel in ("readings", "receipts", "commands"):
            await listener.subscribe(f"suifang/v1/east/gw-77/{channel}", qos=1)
        for channel in ("readings", "receipts", "commands"):
            await operator.publish(f"suifang/v1/east/gw-77/{channel}", b"{}", qos=1)
        async with asyncio.timeout(5):
            heard = await anext(aiter(listener.messages))

    assert heard.topic.value == "suifang/v1/east/gw-77/commands"
