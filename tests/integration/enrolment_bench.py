"""The API with an authority, tokens as an operator makes them, and a box that asks."""

import base64
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from api.enrolment.tokens import Token
from deploy.pki.folder import AuthorityFolder
from gateway.wire.enrolment import ENROLMENTS_PATH, RENEWALS_PATH, renewal_message
from gateway.wire.times import utc_now
from ingest.db import enrolments
from ingest.db.connections import Connection
from ingest.db.enrolments import TokenRow
from tests.certificates import a_key
from tests.fix_db import Database
from tests.fix_processes import COMMAND
from tests.integration.api_processes import an_api


def a_request(key: ec.EllipticCurvePrivateKey, name: str = "whoever") -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    built = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


async def a_token(
    connection: Connection, gateway: str = "gw-1", *, centre: str = "east", hours: float = 1
) -> str:
    """A token that ends so many hours from now, which may be in the past."""
    made, at = Token.make(), utc_now()
    end = at + timedelta(hours=hours)
    row = TokenRow(
        id=made.id,
        secret_hash=made.secret_hash,
        gateway_id=gateway,
        centre_id=centre,
        issued_at=min(at, end - timedelta(seconds=1)),
        expires_at=end,
    )
    await enrolments.save_tokens(connection, [row])
    return str(made)


@dataclass(slots=True)
class Box:
    """One box: its key and its certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    def renewal(
        self,
        next_key: ec.EllipticCurvePrivateKey,
        *,
        signed_by: ec.EllipticCurvePrivateKey | None = None,
    ) -> dict[str, str]:
        """An order for the next certificate."""
        request = a_request(next_key)
        der = x509.load_pem_x509_csr(request.encode()).public_bytes(serialization.Encoding.DER)
        print_ = self.certificate.fingerprint(hashes.SHA256())
        signer = signed_by or self.key
        signature = signer.sign(renewal_message(print_, der), ec.ECDSA(hashes.SHA256()))
        return {
            "fingerprint": print_.hex(),
            "request": request,
            "signature": base64.b64encode(signature).decode(),
        }


@dataclass(slots=True)
class EnrolmentBench:
    """A running API that gives certificates."""

    client: httpx.AsyncClient
    authority: AuthorityFolder
    connection: Connection

    @property
    def address(self) -> str:
        """Of the API."""
        return str(self.client.base_url).rstrip("/")

    async def enrol(
        self, token: str, key: ec.EllipticCurvePrivateKey, **more: str
    ) -> httpx.Response:
        """Send one order."""
        body = {"token": token, "request": a_request(key), **more}
        return await self.client.post(ENROLMENTS_PATH, json=body)

    async def renew(self, order: dict[str, str]) -> httpx.Response:
        """Send one order."""
        return await self.client.post(RENEWALS_PATH, json=order)

    async def a_box(self, gateway: str = "gw-1") -> Box:
        """An enrolled one."""
        key = a_key()
        answer = await self.enrol(await a_token(self.connection, gateway), key)
        assert answer.status_code == 201, answer.text
        return Box(key, certificate_of(answer))

    async def count_certificates(self) -> int:
        """Of all gateways."""
        cursor = await self.connection.execute("SELECT count(*) FROM gateway_certificate")
        row = await cursor.fetchone()
        return 0 if row is None else int(row[0])


def certificate_of(answer: httpx.Response) -> x509.Certificate:
    return x509.load_pem_x509_certificate(answer.json()["certificate"].encode())


@asynccontextmanager
async def an_enrolment_bench(
    database: Database, connection: Connection, authority: AuthorityFolder, **settings: str
) -> AsyncIterator[EnrolmentBench]:
    """The API with this authority, and a centre ``east``."""
    await connection.execute("INSERT INTO centre (id, name) VALUES ('east', 'East')")
    files = {"API_CA_FILE": str(authority.certificate), "API_CA_KEY_FILE": str(authority.key)}
    async with an_api(database, **files, **settings) as api:
        yield EnrolmentBench(api.client, authority, connection)


def run(
    *arguments: str | Path, said: str = "", **environment: str
) -> "subprocess.CompletedProcess[str]":
    """``suifang`` as an operator runs it."""
    return subprocess.run(
        [COMMAND, *map(str, arguments)],
        input=said,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def problem_of(answer: httpx.Response) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    found: dict[str, Any] = answer.json()
    return found
