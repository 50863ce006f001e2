"""Promise: whatever is sent to any address of the OpenAPI document, the answer is what it promises.

Schemathesis goes through the whole document with all its checks, on the real process and a database
with people in it: no fault of the server, no status, media type, header or body that the document
does not name, nothing accepted that it forbids, nothing refused that it allows, nothing open
without a credential, and all that can be done is done at least once.
``make fuzz-api SECONDS=600 SEED=7`` takes longer and other values.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from api.corrections.examples import CLAIM, CORRECTION
from api.registry import examples
from api.registry.kinds import COLLECTIONS
from deploy.pki.folder import AuthorityFolder
from gateway.wire.times import utc_now
from ingest.db.connections import connect
from tests.fix_db import Database
from tests.integration.api_processes import Api, a_dispatcher, an_api
from tests.integration.registry_bench import make_key_file, make_pseudonym_key
from tests.integration.security_world import NOW, build_world, id_of
from tests.tokens import ISSUER, Signer

SEED = os.environ.get("FUZZ_API_SEED", "1")
SECONDS = os.environ.get("FUZZ_API_SECONDS")
# By number of requests, so that the same seed sends the same on a slow machine, too.
LONG = ("--max-time", SECONDS) if SECONDS else ("--max-examples", "4")
COMMAND = Path(sys.executable).with_name("schemathesis")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
STREAMS = "/stream$"  # They do not end.
CALLER = "contract-system"  # Also the gateway whose Observations it sends.


# Done only to what the fuzzer does not find: ids that are no examples, a token, a key that signs.
# All else must be done at least once.
NEVER = {
    *(f"GET /fhir/{kind}/{{id}}" for kind in ("DetectedIssue", "Device", "Flag", "Provenance")),
    *("GET /fhir/ServiceRequest/{id}", "GET /fhir/Task/{id}"),
    *("POST /v1/gateway-enrolments", "POST /v1/gateway-renewals"),
}
UNDONE = {**CORRECTION, "id": "019caab0-0000-7000-8000-000000000009"}
ALERT = id_of("alert", "anna")
_READING = "/v1/readings/{reading_id}"
_PRESSURE = """
INSERT INTO reading (id, partition_at, content_hash, kind, resident_id, centre_id, gateway_id,
    device_id, stored_record, captured_at, clock_synchronised, received_at, arrived_at,
    effective_at, time_suspect, setting, status, systolic, diastolic, unit)
VALUES (%(id)s, %(at)s, 1, 'blood_pressure', %(resident)s, 'north', 'gw', 'cuff', false, %(at)s,
    true, %(at)s, %(at)s, %(at)s, false, 'office', '{}', 182, 94, 'mmHg')"""


def a_token(signer: Signer, subject: str) -> str:
    at, roles = int(utc_now().timestamp()), [subject.replace("-", "_")]
    return signer.sign(signer.claims(iat=at, exp=at + 3_600, sub=subject, roles=roles, teams=[]))


@asynccontextmanager
async def a_full_api(database: Database, folder: Path, signer: Signer) -> AsyncIterator[Api]:
    """An API that lacks nothing: keys, an authority, an issuer, people."""
    jwks = folder / "jwks.json"
    jwks.write_bytes(signer.jwks())
    authority = AuthorityFolder(folder / "pki")
    authority.make("Fuzz", at=utc_now())
    async with await connect(database.dsn, application_name="test", autocommit=True) as writer:
        await build_world(writer)
        await writer.execute("DELETE FROM resident_key")  # Of a key that nobody has.
        await writer.execute("DELETE FROM outbox")  # They hold only what row-level security asks.
        await writer.execute(
            "INSERT INTO gateway (id, centre_id, enrolled_at) VALUES (%s, 'north', %s)",
            (CALLER, NOW),
        )
        await writer.execute(
            "INSERT INTO resident (id, team_id, created_at) VALUES ('twin', 'n1', %s)", (NOW,)
        )
        for name, resident in (("said", "anna"), ("open", None), ("taken", None)):
            values = {"id": id_of("pressure", name), "resident": resident, "at": NOW}
            await writer.execute(_PRESSURE, values)
    settings = {
        "API_AUTHENTICATION": "required",
        "API_AUTH__ISSUER": ISSUER,
        "API_AUTH__JWKS_FILE": str(jwks),
        "API_KEY_FILE": str(make_key_file(folder)),
        "API_PSEUDONYM_KEY_FILE": str(make_pseudonym_key(folder)),
        "API_CA_FILE": str(authority.certificate),
        "API_CA_KEY_FILE": str(authority.key),
        "API_LIMITS__PERSON_BURST": str(10**6),
    }
    async with a_dispatcher(database), an_api(database, **settings) as api:
        api.client.headers["Authorization"] = f"Bearer {a_token(signer, CALLER)}"
        for kind, path in ((each.kind, each.path) for each in COLLECTIONS):
            body = {**examples.body(kind), "conditions": []} if kind == "resident" else None
            address = f"/v1/{path}/{examples.IDS[kind]}"
            written = await api.client.put(address, json=body or examples.body(kind))
            assert written.status_code == 201, written.text
        yield api


async def say(api: Api) -> dict[str, dict[str, dict[str, str]]]:
    """Say of readings what can be taken back; by operation, what of path and body is there."""
    said, opened, taken = (str(id_of("pressure", name)) for name in ("said", "open", "taken"))
    for path, body in ((f"{said}/correction", UNDONE), (f"{taken}/claim", CLAIM)):
        written = await api.client.put(f"/v1/readings/{path}", json=body)
        assert written.status_code == 200, written.text
    until = (utc_now() + timedelta(hours=12)).isoformat()
    undone = {"reading_id": said, "amendment_id": UNDONE["id"]}
    return {
        name: {"path": path, "body": body}
        for name, path, body in (
            (f"PUT {_READING}/correction", {"reading_id": said}, {}),
            (f"PUT {_READING}/amendments/{{amendment_id}}/undo", undone, {}),
            (f"PUT {_READING}/claim", {"reading_id": opened}, {"resident_id": "anna"}),
            (f"DELETE {_READING}/claim", {"reading_id": taken}, {}),
            ("PUT /v1/alerts/{alert_id}/snooze", {"alert_id": str(ALERT)}, {"until": until}),
            ("PUT /v1/residents/{resident_id}/merge", {"resident_id": "twin"}, {"into": "anna"}),
        )
    }


@pytest.mark.slow
async def test_every_operation_keeps_what_the_document_says(
    database: Database, tmp_path: Path
) -> None:
    signer = Signer()
    async with a_full_api(database, tmp_path, signer) as api:
        there = await say(api)
        run = await asyncio.create_subprocess_exec(
            *(COMMAND, "--config-file", CONFIGURATION, "run"),
            f"{str(api.client.base_url).rstrip('/')}/openapi.json",
            *("--header", f"Authorization: Bearer {a_token(signer, CALLER)}"),
            *("--checks", "all", "--seed", SEED, *LONG),
            *("--exclude-path-regex", STREAMS, "--request-timeout", "40"),
            *("--no-color", "--continue-on-failure"),
            cwd=tmp_path,
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": str(CONFIGURATION.with_name("schemathesis_hooks.py")),
                "FUZZ_AUDITOR": a_token(signer, "auditor"),
                "FUZZ_ANSWERED": str(tmp_path / "answered"),
                "FUZZ_THERE": json.dumps(there),
                "NO_PROXY": "*",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await run.communicate()
        document = (await api.client.get("/openapi.json")).json()
    text = said.decode()
    operations = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
        if not path.endswith("/stream")
    }
    answered = {*(tmp_path / "answered").read_text("utf-8").splitlines()}

    assert run.returncode == 0, text
    assert operations - answered <= NEVER
    assert len(operations) > 100
