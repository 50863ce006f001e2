"""One token is one certificate, one certificate one successor, and a stranger learns nothing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.pki.folder import AuthorityFolder
from gateway.wire.enrolment import ENROLMENTS_PATH
from gateway.wire.times import utc_now
from ingest.db import enrolments
from ingest.db.connections import Connection
from tests.certificates import a_key
from tests.fix_db import Database
from tests.integration.api_processes import an_api
from tests.integration.enrolment_bench import (
    Box,
    EnrolmentBench,
    a_request,
    a_token,
    an_enrolment_bench,
    certificate_of,
    problem_of,
)


@pytest.fixture
async def bench(
    database: Database, connection: Connection, tmp_path: Path
) -> AsyncIterator[EnrolmentBench]:
    authority = AuthorityFolder(tmp_path / "pki")
    authority.make("Test", at=utc_now())
    async with an_enrolment_bench(database, connection, authority) as found:
        yield found


# --- enrolment -----------------------------------------------------------------------------------


async def test_a_token_buys_a_certificate_for_its_gateway_and_nothing_else(
    bench: EnrolmentBench, connection: Connection
) -> None:
    key = a_key()

    answer = await bench.enrol(await a_token(connection, "gw-7"), key)

    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json()
    assert (said["gateway_id"], said["centre_id"]) == ("gw-7", "east")
    certificate = certificate_of(answer)
    certificate.verify_directly_issued_by(bench.authority.load().certificate)
    assert certificate.public_key() == key.public_key()
    assert certificate.subject.rfc4514_string() == "CN=gw-7"
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert list(usage.value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert 364 <= (certificate.not_valid_after_utc - utc_now()).days <= 365
    cursor = await connection.execute("SELECT id, centre_id, revoked_at FROM gateway")
    assert await cursor.fetchall() == [("gw-7", "east", None)]


async def test_what_the_request_wishes_for_is_not_given(
    bench: EnrolmentBench, connection: Connection
) -> None:
    """A name of the server side, host names, and an authority's rights."""
    key = a_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ingest")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for wish in (
        x509.SubjectAlternativeName([x509.DNSName("broker.example")]),
        x509.BasicConstraints(ca=True, path_length=None),
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),
    ):
        builder = builder.add_extension(wish, critical=False)
    request = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    token = await a_token(connection)
    answer = await bench.enrol(token, key, request=request.decode())

    certificate = certificate_of(answer)
    assert certificate.subject.rfc4514_string() == "CN=gw-1"
    kinds = {type(extension.value) for extension in certificate.extensions}
    assert x509.SubjectAlternativeName not in kinds
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    assert list(usage.value) == [ExtendedKeyUsageOID.CLIENT_AUTH]


async def test_of_many_boxes_with_one_token_one_gets_a_certificate(
    bench: EnrolmentBench, connection: Connection
) -> None:
    token = await a_token(connection)

    answers = await asyncio.gather(*(bench.enrol(token, a_key()) for _ in range(24)))

    assert sorted(answer.status_code for answer in answers) == [201] + [403] * 23
    assert await bench.count_certificates() == 1


async def test_one_box_that_asks_many_times_gets_one_certificate_again_and_again(
    bench: EnrolmentBench, connection: Connection
) -> None:
    """Its first answer may have been lost on the way."""
    token, key = await a_token(connection), a_key()

    answers = await asyncio.gather(*(bench.enrol(token, key) for _ in range(12)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["certificate"] for answer in answers}) == 1
    assert await bench.count_certificates() == 1


async def test_no_answer_tells_a_wrong_token_from_a_used_or_an_old_one(
    bench: EnrolmentBench, connection: Connection
) -> None:
    used, old = await a_token(connection, "gw-1"), await a_token(connection, "gw-2", hours=-1)
    right = await a_token(connection, "gw-3")
    assert (await bench.enrol(used, a_key())).status_code == 201
    number, secret = right[:20], right[21:]
    wrong = {
        "used": used,
        "old": old,
        "right number, wrong secret": f"{number}-{'A' * 43}",
        "wrong number, right secret": f"sfe-{'0' * 16}-{secret}",
        "unknown": f"sfe-{'0' * 16}-{'A' * 43}",
        "no token": "let me in",
        "empty": "",
        "cut": right[:-1],
        "sql": "sfe-' OR 1=1 --",
    }

    answers = {name: await bench.enrol(token, a_key()) for name, token in wrong.items()}

    assert {answer.status_code for answer in answers.values()} == {403}
    assert len({answer.text for answer in answers.values()}) == 1
    problem = problem_of(answers["old"])
    assert problem["type"] == "urn:suifang:problem:enrolment-refused"
    assert "suifang pki token" in problem["detail"]
    assert (await bench.enrol(right, a_key())).status_code == 201


async def test_a_newer_token_of_the_same_gateway_withdraws_an_unused_one(
    bench: EnrolmentBench, connection: Connection
) -> None:
    first, second = await a_token(connection), await a_token(connection)

    assert (await bench.enrol(first, a_key())).status_code == 403
    assert (await bench.enrol(second, a_key())).status_code == 201


def _requests() -> dict[str, str]:
    good = a_request(a_key())
    large = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    by_rsa = builder.sign(large, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    p384 = ec.generate_private_key(ec.SECP384R1())
    by_p384 = builder.sign(p384, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    lines = good.splitlines()
    middle = lines[3]
    broken = good.replace(middle, middle[:5] + ("A" if middle[5] != "A" else "B") + middle[6:])
    return {
        "nothing": "",
        "words": "please",
        "another curve": by_p384.decode(),
        "RSA": by_rsa.decode(),
        "changed after it was signed": broken,
        "a certificate": good.replace("CERTIFICATE REQUEST", "CERTIFICATE"),
        "very long": good + "x" * 4_096,
    }


@pytest.mark.parametrize("kind", _requests())
async def test_a_bad_request_is_refused_and_the_token_stays_good(
    bench: EnrolmentBench, connection: Connection, kind: str
) -> None:
    token = await a_token(connection)

    answer = await bench.enrol(token, a_key(), request=_requests()[kind])

    assert answer.status_code == 422
    (wrong,) = problem_of(answer)["errors"]
    assert wrong["field"] == "request"
    assert token not in answer.text
    assert (await bench.enrol(token, a_key())).status_code == 201


async def test_an_endless_body_is_cut_off(bench: EnrolmentBench) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"token":"'
        for _ in range(10_000):
            yield b"x" * 1_024

    try:
        answer = await bench.client.post(ENROLMENTS_PATH, content=endless())
    except httpx.WriteError:
        return  # It did not even listen to the end.
    assert answer.status_code == 413


async def test_without_an_authority_the_answer_says_what_to_set_up(database: Database) -> None:
    async with an_api(database) as api:
        body = {"token": "x", "request": a_request(a_key())}
        answer = await api.client.post(ENROLMENTS_PATH, json=body)

    assert answer.status_code == 503
    assert "API_CA_KEY_FILE" in problem_of(answer)["detail"]


async def test_the_database_holds_no_token(bench: EnrolmentBench, connection: Connection) -> None:
    token = await a_token(connection)
    await bench.enrol(token, a_key())

    cursor = await connection.execute("SELECT t::text FROM enrolment_token t")
    rows = str(await cursor.fetchall())

    assert token[21:] not in rows
    assert token[21:].encode().hex() not in rows


async def test_a_box_that_is_enrolled_again_voids_what_the_gateway_had_before(
    bench: EnrolmentBench, connection: Connection
) -> None:
    first = await bench.a_box()
    second = await bench.a_box()

    assert (await bench.renew(first.renewal(a_key()))).status_code == 403
    assert (await bench.renew(second.renewal(a_key()))).status_code == 201
    revoked = await enrolments.list_revoked(connection, at=utc_now())
    assert [serial for serial, _ in revoked] == [first.certificate.serial_number]


# --- renewal -------------------------------------------------------------------------------------


async def test_the_present_key_gets_the_next_certificate_for_a_new_key(
    bench: EnrolmentBench,
) -> None:
    box, key = await bench.a_box("gw-5"), a_key()

    answer = await bench.renew(box.renewal(key))

    renewed = certificate_of(answer)
    assert answer.status_code == 201
    assert renewed.public_key() == key.public_key()
    assert renewed.subject.rfc4514_string() == "CN=gw-5"
    assert (await bench.renew(Box(key, renewed).renewal(a_key()))).status_code == 201
    assert await bench.count_certificates() == 3


async def test_one_certificate_has_one_successor_however_often_it_is_asked_for(
    bench: EnrolmentBench,
) -> None:
    box, key = await bench.a_box(), a_key()
    order = box.renewal(key)

    same = await asyncio.gather(*(bench.renew(order) for _ in range(8)))
    other = await asyncio.gather(*(bench.renew(box.renewal(a_key())) for _ in range(8)))

    assert len({answer.json()["certificate"] for answer in same}) == 1
    assert {answer.status_code for answer in other} == {403}
    assert "another key" in problem_of(other[0])["detail"]
    assert await bench.count_certificates() == 2


async def test_who_cannot_sign_learns_nothing(
    bench: EnrolmentBench, connection: Connection
) -> None:
    """Neither whether a certificate is known, nor whether it is revoked."""
    box, revoked = await bench.a_box("gw-1"), await bench.a_box("gw-2")
    await enrolments.revoke(connection, "gw-2", because="test", at=utc_now())
    stranger = Box(a_key(), bench.authority.load().certificate)
    swapped = box.renewal(a_key()) | {"request": a_request(a_key())}
    orders = [
        box.renewal(a_key(), signed_by=a_key()),
        revoked.renewal(a_key(), signed_by=a_key()),
        stranger.renewal(a_key()),
        swapped,
        box.renewal(a_key()) | {"signature": "no base64!"},
        box.renewal(a_key()) | {"signature": ""},
    ]

    answers = [await bench.renew(order) for order in orders]

    assert {answer.status_code for answer in answers} == {403}
    assert len({answer.text for answer in answers}) == 1
    assert await bench.count_certificates() == 2


async def test_a_revoked_or_ended_certificate_is_not_renewed(
    bench: EnrolmentBench, connection: Connection
) -> None:
    revoked, ended = await bench.a_box("gw-1"), await bench.a_box("gw-2")
    await enrolments.revoke(connection, "gw-1", because="stolen", at=utc_now())
    await connection.execute(
        "UPDATE gateway_certificate SET expires_at = issued_at WHERE gateway_id = 'gw-2'"
    )

    said = [await bench.renew(box.renewal(a_key())) for box in (revoked, ended)]

    assert [answer.status_code for answer in said] == [403, 403]
    assert "revoked" in problem_of(said[0])["detail"]
    assert "ended" in problem_of(said[1])["detail"]
    assert "stolen" not in said[0].text


async def test_a_box_that_renews_in_a_loop_is_stopped(bench: EnrolmentBench) -> None:
    box = await bench.a_box()
    codes = []
    for _ in range(9):
        key = a_key()
        answer = await bench.renew(box.renewal(key))
        codes.append(answer.status_code)
        if answer.status_code == 201:
            box = Box(key, certificate_of(answer))

    assert codes == [201] * 7 + [403] * 2
