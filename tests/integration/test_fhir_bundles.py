"""Promise: a Bundle is stored whole, or entry by entry, as it asks, and each entry is told why not.

Against a real TimescaleDB; the routes are called in this process.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from api.auth.permissions import Role
from api.fhir import codes
from ingest.db.connections import Connection
from tests.fhir_senders import a_bundle, a_pressure, a_synthea_bundle, an_entry
from tests.fhir_world import Json, found_in
from tests.fix_db import Database as Fresh
from tests.integration.fhir_bench import an_api, as_sender, count, expressions, fill, post


@pytest.fixture
async def filled(connection: Connection) -> Connection:
    return await fill(connection)


@pytest.fixture
async def client(
    database: Fresh,
    filled: Connection,  # noqa: ARG001 - filled first
    tmp_path: Path,
) -> AsyncIterator[httpx.AsyncClient]:
    async with an_api(database, tmp_path) as opened:
        yield opened


async def test_a_bundle_as_synthea_writes_it_is_refused_whole_or_taken_in_part(
    client: httpx.AsyncClient, filled: Connection
) -> None:
    outcome = await post(client, a_synthea_bundle(), 422, "")
    assert [path.split(".")[1] for path in expressions(outcome)] == [
        "entry[1]",
        "entry[3]",
        "entry[5]",
    ]
    assert "'Encounter'" in outcome["issue"][0]["diagnostics"]
    assert "119.7352194" in outcome["issue"][1]["diagnostics"]
    assert await count(filled, "reading") == 0
    assert await count(filled, "resident") == 2

    answer: Json = {}
    for first in (True, False):
        answer = await post(client, a_synthea_bundle(), 200, "", Prefer="handling=lenient")
        statuses = [entry["response"]["status"] for entry in answer["entry"]]
        made = "201" if first else "200"
        assert statuses == [made, "422", made, "422", made, "422"]
    id_ = "his-north.5cbc121b-cd71-4428-b8b7-31e53eba8184"
    assert await count(filled, "reading") == 2
    patient = answer["entry"][0]["response"]["location"]
    assert len(await found_in(client, "Observation", patient=patient)) == 2
    row = await (
        await filled.execute("SELECT birth_date::text, sex FROM resident WHERE id = %s", (id_,))
    ).fetchone()
    assert row == ("1949-01-01", "male")


async def test_a_transaction_is_all_or_nothing_and_a_batch_is_each_by_itself(
    client: httpx.AsyncClient, filled: Connection
) -> None:
    good, bad = an_entry(a_pressure(name="o-1")), an_entry(a_pressure(1460, 92, name="o-2"))
    await post(client, a_bundle(good, bad), 422, "")
    assert (await count(filled, "reading"), await count(filled, "quarantine")) == (0, 0)

    answer = await post(client, a_bundle(good, bad, good, kind="batch"), 200, "")

    assert [each["response"]["status"] for each in answer["entry"]] == ["201", "422", "200"]
    assert (await count(filled, "reading"), await count(filled, "quarantine")) == (1, 1)
    answer = await post(client, a_bundle(good, kind="transaction"), 200, "")
    assert answer["type"] == "transaction-response"
    for wrong in (a_bundle(kind="searchset"), {"resourceType": "Patient"}, {"entry": 7}):
        await post(client, wrong, 422, "")


async def test_a_resident_who_is_there_is_not_changed_and_a_new_one_needs_the_right(
    database: Fresh, filled: Connection, tmp_path: Path
) -> None:
    anna = {
        "resourceType": "Patient",
        "identifier": [{"system": codes.RESIDENT_IDS, "value": "anna"}],
        "gender": "male",
    }
    new = {"resourceType": "Patient", "id": "7", "birthDate": "1949-01-01"}
    stranger = {**anna, "identifier": [{"system": codes.RESIDENT_IDS, "value": "carl"}]}
    team = {"identifier": {"system": codes.TEAM_IDS, "value": "n1"}}
    placed = {**new, "id": "8", "generalPractitioner": [team]}
    elsewhere = {
        **new,
        "id": "9",
        "generalPractitioner": [{"identifier": {**team["identifier"], "value": "s1"}}],
    }
    people = (anna, new, stranger, placed, elsewhere)
    bundle = a_bundle(*(an_entry(each) for each in people), kind="batch")
    leader = {"role": Role.TEAM_LEADER, "subject": "his-north", "teams": ["n1"]}
    async with an_api(database, tmp_path, **leader) as client:
        await post(client, bundle, 403, "")  # A team's leader is not of the gateway's centre.
        client.headers.update(as_sender(Role.CENTRE_ADMIN, centres=["north"]))
        answer = await post(client, bundle, 200, "")
    statuses = [each["response"]["status"] for each in answer["entry"]]
    assert statuses == ["200", "422", "422", "201", "422"]
    paths = [expressions(answer["entry"][n]["response"]["outcome"]) for n in (1, 2, 4)]
    assert [path.rpartition(".")[2] for (path,) in paths] == [
        *("generalPractitioner", "identifier", "generalPractitioner"),
    ]
    assert await count(filled, "resident") == 3
    row = await (await filled.execute("SELECT sex FROM resident WHERE id = 'anna'")).fetchone()
    assert row == (None,)
