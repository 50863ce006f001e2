"""Promise: two pseudonyms of one person are linked at ``/fhir``, and every merge and parting shows.

Valid FHIR R4 by the independent checker (``ask``); also for who sees only one of the two again.
"""

from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from ingest.db.connections import Connection
from tests.fhir_world import Json, ask, found_in, resources_in
from tests.fix_clock import TestClock
from tests.fix_db import Database as Fresh
from tests.integration.fhir_bench import fill
from tests.integration.registry_bench import NOW, a_registry, put
from tests.integration.test_fhir_judged import CASE, MOVE, raise_alert
from tests.integration.test_fhir_reads import store


@pytest.fixture
async def client(
    database: Fresh, connection: Connection, clock: TestClock
) -> AsyncIterator[httpx.AsyncClient]:
    """The API in a database with anna of team n1 and carl of team s1."""
    await fill(connection)
    await connection.execute(
        "INSERT INTO gateway (id, centre_id, enrolled_at) VALUES ('gw-1', 'north', %s)", (NOW,)
    )
    clock.now = NOW
    async with a_registry(database.dsn, clock) as opened:
        yield opened


async def merge(client: httpx.AsyncClient, clock: TestClock) -> None:
    clock.pass_by(minutes=1)
    await put(client, "residents/carl/merge", {"into": "anna", "reason": "twice"}, 200)


async def part(client: httpx.AsyncClient, clock: TestClock) -> None:
    clock.pass_by(minutes=1)
    response = await client.delete("/v1/residents/carl/merge")
    assert response.status_code == 204, response.text


def links(patient: Json) -> list[tuple[str, str]]:
    return [(each["type"], each["other"]["reference"]) for each in patient.get("link", [])]


async def test_a_merged_patient_is_replaced_by_the_survivor_and_both_are_new_versions(
    client: httpx.AsyncClient, clock: TestClock
) -> None:
    versions: dict[str, list[tuple[int, str]]] = {"anna": [], "carl": []}

    async def look() -> dict[str, Json]:
        found = {name: await ask(client, f"Patient/{name}") for name in versions}
        listed = {each["id"]: each for each in resources_in(await ask(client, "Patient"))}
        for name, patient in found.items():
            assert listed[name]["meta"] == patient["meta"]
            assert links(listed[name]) == links(patient)
            said = patient["meta"]
            versions[name].append((int(said["versionId"]), said["lastUpdated"]))
        return found

    apart = await look()
    await merge(client, clock)
    merged_at = clock.now
    merged = await look()
    since = f"ge{merged_at:%Y-%m-%dT%H:%M:%SZ}"
    assert sorted(await found_in(client, "Patient", _lastUpdated=since)) == ["anna", "carl"]
    await part(client, clock)
    parted = await look()
    await merge(client, clock)
    again = await look()

    for found in (apart, parted):
        assert all("active" not in each and not links(each) for each in found.values())
    for found in (merged, again):
        assert found["carl"]["active"] is False
        assert links(found["carl"]) == [("replaced-by", "Patient/anna")]
        assert "active" not in found["anna"]
        assert links(found["anna"]) == [("replaces", "Patient/carl")]
    for seen in versions.values():
        assert seen == sorted(set(seen)), "a version or a time that did not move on"
    assert await found_in(client, "Patient", _lastUpdated=f"lt{merged_at:%Y-%m-%dT%H:%M:%SZ}") == []


async def test_observations_are_found_by_both_pseudonyms_and_belong_to_one(
    client: httpx.AsyncClient, connection: Connection, clock: TestClock
) -> None:
    hers = str(await store(connection, resident_id="anna"))
    his = str(await store(connection, resident_id="carl"))

    async def look() -> tuple[dict[str, set[str]], Json]:
        found = {
            name: set(await found_in(client, "Observation", patient=f"Patient/{name}"))
            for name in ("anna", "carl")
        }
        return found, await ask(client, f"Observation/{his}")

    apart, before = await look()
    own = (await ask(client, f"Observation/{hers}"))["meta"]
    await merge(client, clock)
    since = f"ge{clock.now:%Y-%m-%dT%H:%M:%SZ}"
    together, during = await look()
    changed = await found_in(client, "Observation", patient="anna", _lastUpdated=since)
    assert (await ask(client, f"Observation/{hers}"))["meta"] == own
    await part(client, clock)
    parted, after = await look()

    assert apart == parted == {"anna": {hers}, "carl": {his}}
    assert together == {"anna": {hers, his}, "carl": {hers, his}}
    assert changed == [his]
    subjects = [each["subject"]["reference"] for each in (before, during, after)]
    assert subjects == ["Patient/carl", "Patient/anna", "Patient/carl"]
    assert [each["meta"]["versionId"] for each in (before, during, after)] == ["1", "2", "3"]


async def test_what_was_judged_is_found_by_both_pseudonyms(
    client: httpx.AsyncClient, connection: Connection, clock: TestClock
) -> None:
    """What stands under the merged one keeps its subject: it was said of that pseudonym."""
    kinds = ("DetectedIssue", "Flag", "Task", "ServiceRequest")
    for who in ("anna", "carl"):
        await raise_alert(connection, "BP_EMERGENCY", "resolved", who, days=9)
        state = {"condition": "diabetes", "state": "controlled", "second": None, "at": NOW}
        await connection.execute(CASE, {"resident": who, "routine": "2026-06-01", **state})
        moved = ("controlled", "referral_recommended", NOW - timedelta(days=9), "judge")
        await connection.execute(MOVE, (who, *moved))

    async def look(kind: str) -> dict[str, list[str]]:
        found = {}
        for name, asked in (("anna", "patient"), ("carl", "subject")):
            page = await ask(client, kind, **{asked: f"Patient/{name}"})
            about = [
                (one.get("patient") or one.get("subject") or one["for"])["reference"]
                for one in resources_in(page)
            ]
            found[name] = [reference.removeprefix("Patient/") for reference in about]
        return found

    apart = {kind: await look(kind) for kind in kinds}
    await merge(client, clock)
    together = {kind: await look(kind) for kind in kinds}
    await part(client, clock)

    assert apart == {kind: {"anna": ["anna"], "carl": ["carl"]} for kind in kinds}
    assert together == {
        kind: {name: ["anna", "carl"] for name in ("anna", "carl")} for kind in kinds
    }
    assert {kind: await look(kind) for kind in kinds} == apart
    one = resources_in(await ask(client, "Patient", identifier="urn:suifang:resident|carl"))
    assert [each["id"] for each in one] == ["carl"]  # Itself, with a link while it is merged.


async def test_a_version_does_not_go_back_for_who_sees_one_of_the_two_again(
    client: httpx.AsyncClient, connection: Connection, clock: TestClock
) -> None:
    """Row-level security hides the merge from who sees only one; not that there was one."""
    seen = "SELECT resident_id, number, number_as_merged, at FROM visible_merging"
    await merge(client, clock)
    await part(client, clock)

    await connection.execute("SET ROLE suifang_api")
    await connection.execute("SELECT set_config('suifang.teams', '{s1}', false)")
    rows = await (await connection.execute(seen)).fetchall()
    hidden = await (await connection.execute("SELECT FROM resident_merge")).fetchall()
    await connection.execute("RESET ROLE")

    assert rows == [("carl", 2, 2, NOW + timedelta(minutes=2))]
    assert hidden == []
