"""Promise: what other systems send is stored once and judged, or refused with its path and value.

Nothing is guessed, and nobody writes about a stranger. Against a real TimescaleDB; the routes are
called in this process.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.auth.permissions import Role
from api.fhir import codes
from api.fhir.resources.meta import EXACT
from ingest.db.connections import Connection
from tests.fhir_senders import (
    a_bundle,
    a_concept,
    a_part,
    a_pressure,
    a_quantity,
    a_sugar,
    an_entry,
)
from tests.fhir_world import Json, ask, check, exact, found_in, resources_in
from tests.fix_db import Database as Fresh
from tests.integration.fhir_bench import JSON, an_api, as_sender, count, expressions, fill, post
from tests.integration.registry_bench import NOW


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


async def test_a_reading_is_stored_with_its_digits_its_unit_and_where_it_comes_from(
    client: httpx.AsyncClient, filled: Connection
) -> None:
    device = {"identifier": {"system": "urn:his:device", "value": "A7"}, "display": "ward cuff"}
    sent = a_pressure(Decimal("146.0"), Decimal(92), name="o-1", device=device)
    sent["component"].append(a_part(codes.PULSE, 78, "/min"))

    made = await post(client, sent, 201)

    assert made["status"] == "final"
    assert str(made["component"][0]["valueQuantity"]["value"]) == "146.0"
    assert {"system": "urn:his", "value": "o-1"} in made["identifier"]
    assert made["device"]["identifier"]["value"] == "his-north/A7"
    assert await ask(client, f"Observation/{made['id']}") == made
    assert await found_in(client, "Observation", identifier="urn:his|o-1") == [made["id"]]
    told = resources_in(await ask(client, "Provenance", target=f"Observation/{made['id']}"))
    named = [agent["who"]["identifier"]["value"] for agent in told[0]["agent"]]
    assert named == ["his-north/A7", "his-north"]
    row = await (
        await filled.execute("SELECT centre_id, gateway_id, measured_at, unit, extra FROM reading")
    ).fetchone()
    assert row is not None
    assert row[:2] == ("north", "his-north")
    assert row[3] == "mmHg"
    assert row[4]["extra_fhir"]["code"] == ["85354-9"]
    assert await count(filled, "due_mark") == 1
    assert await count(filled, "audit_entry") >= 1


async def test_sending_again_stores_nothing_and_other_content_is_a_conflict(
    client: httpx.AsyncClient, filled: Connection
) -> None:
    first = await post(client, a_pressure(name="o-1"), 201, If_None_Exist="identifier=urn:his|o-1")
    again = await post(client, a_pressure(name="o-1"), 200, If_None_Exist="identifier=urn:his|o-1")
    plain = await post(client, a_pressure(name="o-1"), 200)
    assert first["id"] == again["id"] == plain["id"]

    outcome = await post(client, a_pressure(150, 90, name="o-1"), 409)

    assert expressions(outcome) == ["Observation.identifier"]
    assert await count(filled, "reading") == 1
    assert await count(filled, "quarantine") == 0
    totals = await (await filled.execute("SELECT stored, redelivered FROM gateway_day")).fetchone()
    assert totals == (1, 2)


def _named(*names: str) -> list[Json]:
    return [{"system": "urn:his", "value": name} for name in names]


async def test_what_is_refused_keeps_none_of_its_identifiers_and_no_other_loses_one(
    client: httpx.AsyncClient, filled: Connection
) -> None:
    await post(client, a_pressure(name="o-1"), 201)
    both = a_pressure(150, 90, identifier=_named("o-1", "o-2"))
    await post(client, both, 409)
    assert await count(filled, "observation_identifier") == 1

    await post(client, a_pressure(128, 78, name="o-2"), 201)
    await post(client, both, 409)  # Both are taken now: neither was claimed, nor is one freed.
    assert await count(filled, "observation_identifier") == 2


async def test_of_one_batch_a_name_that_a_refused_one_shares_stays_with_who_is_stored(
    client: httpx.AsyncClient, filled: Connection
) -> None:
    await post(client, a_pressure(name="o-1"), 201)
    refused = a_pressure(150, 90, identifier=_named("o-2", "o-1", "o-3"))
    kept = a_pressure(150, 90, name="o-2")
    bundle = a_bundle(an_entry(refused), an_entry(kept), kind="batch")
    answer = await post(client, bundle, 200, "")

    assert [each["response"]["status"] for each in answer["entry"]] == ["409", "201"]
    row = await (
        await filled.execute(
            "SELECT array_agg(value ORDER BY value), count(DISTINCT reading_id)"
            " FROM observation_identifier"
        )
    ).fetchone()
    assert row == (["o-1", "o-2"], 2)


async def test_the_same_measurement_under_another_identifier_is_a_duplicate(
    client: httpx.AsyncClient, filled: Connection
) -> None:
    first = await post(client, a_pressure(name="o-1"), 201)
    # Another wording, the same device, time and values: decision table 2.6.
    other = a_pressure(name="o-2", issued="2026-03-15T09:31:00+08:00")
    second = await post(client, other, 200)

    assert second["id"] == first["id"]
    assert {each["value"] for each in second["identifier"]} >= {"o-1", "o-2"}
    assert (first["meta"]["versionId"], second["meta"]["versionId"]) == ("1", "2")  # Another ETag.
    assert (await count(filled, "reading"), await count(filled, "duplicate")) == (1, 1)
    assert (await post(client, other, 200))["id"] == first["id"]


async def test_many_that_send_the_same_at_once_make_one(
    client: httpx.AsyncClient, filled: Connection
) -> None:
    async def send(systolic: int) -> int:
        content = EXACT.encode(a_pressure(systolic, name="o-1"))
        return (await client.post("/fhir/Observation", content=content, headers=JSON)).status_code

    statuses = await asyncio.gather(*(send(140 + n % 2) for n in range(8)))

    assert statuses.count(201) == 1
    assert sorted(set(statuses)) == [200, 201, 409]
    assert await count(filled, "reading") == 1


async def test_an_emergency_of_another_system_is_raised_at_once(
    client: httpx.AsyncClient, filled: Connection
) -> None:
    at = (NOW - timedelta(hours=1)).isoformat()
    made = await post(client, a_pressure(190, 118, effectiveDateTime=at), 201)

    (alert,) = resources_in(await ask(client, "DetectedIssue", patient="anna"))
    assert alert["severity"] == "high"
    assert alert["evidence"][0]["detail"] == [{"reference": f"Observation/{made['id']}"}]
    assert await count(filled, "outbox") >= 1


async def test_what_no_person_has_is_in_the_quarantine_and_can_be_corrected(
    client: httpx.AsyncClient, filled: Connection
) -> None:
    wrong = a_pressure(1460, 92, name="o-1")
    for _ in range(2):
        outcome = await post(client, wrong, 422)
        assert "implausible" in outcome["issue"][0]["diagnostics"]
        assert "1460" in outcome["issue"][0]["diagnostics"]
    assert await count(filled, "quarantine") == 1
    assert await count(filled, "reading") == 0

    await post(client, a_pressure(146, 92, name="o-1"), 201)


def _without(resource: Json, *names: str) -> Json:
    return {name: value for name, value in resource.items() if name not in names}


_SUGAR = a_sugar(7, "mmol/L", "14743-9")
UNMAPPABLE: dict[str, tuple[Json, str]] = {
    "an unknown code": (a_pressure(code=a_concept("2093-3")), "Observation.code.coding"),
    "two glucose codes": (
        {**_SUGAR, "code": a_concept("14743-9", "14770-2")},
        "Observation.code.coding",
    ),
    "mg/dL under moles": (a_sugar(126, "mg/dL", "14770-2"), "Observation.valueQuantity.code"),
    "moles under mg/dL": (a_sugar(7, "mmol/L", "2339-0"), "Observation.valueQuantity.code"),
    "a unit of text": (
        {**_SUGAR, "valueQuantity": {"value": 7, "unit": "mmol/L"}},
        "Observation.valueQuantity.code",
    ),
    "a unit of another system": (
        {**_SUGAR, "valueQuantity": {**a_quantity(7, "mmol/L"), "system": "urn:x"}},
        "Observation.valueQuantity.system",
    ),
    "less than": (
        {**_SUGAR, "valueQuantity": {**a_quantity(7, "mmol/L"), "comparator": "<"}},
        "Observation.valueQuantity.comparator",
    ),
    "a number of text": (
        {**_SUGAR, "valueQuantity": a_quantity("7", "mmol/L")},
        "Observation.valueQuantity.value",
    ),
    "no diastolic": (a_pressure(component=[a_part(codes.SYSTOLIC, 146)]), "Observation.component"),
    "mixed units": (
        a_pressure(component=[a_part(codes.SYSTOLIC, 146), a_part(codes.DIASTOLIC, 12, "kPa")]),
        "Observation.component",
    ),
    "preliminary": (a_pressure(status="preliminary"), "Observation.status"),
    "retracted": (a_pressure(status="entered-in-error"), "Observation.status"),
    "a day": (a_pressure(effectiveDateTime="2026-03-15"), "Observation.effectiveDateTime"),
    "no zone": (
        a_pressure(effectiveDateTime="2026-03-15T09:30:00"),
        "Observation.effectiveDateTime",
    ),
    "long ago": (
        a_pressure(effectiveDateTime="2014-03-15T09:30:00Z"),
        "Observation.effectiveDateTime",
    ),
    "tomorrow": (
        a_pressure(effectiveDateTime="2026-03-17T09:30:00Z"),
        "Observation.effectiveDateTime",
    ),
    "no time": (_without(a_pressure(), "effectiveDateTime"), "Observation.effectiveDateTime"),
    "a period": (a_pressure(effectivePeriod={"start": "2026"}), "Observation.effectivePeriod"),
    "a modifier": (
        a_pressure(modifierExtension=[{"url": "urn:x"}]),
        "Observation.modifierExtension",
    ),
    "nobody": (_without(a_pressure(), "subject"), "Observation.subject"),
    "a stranger": (a_pressure(subject={"reference": "Patient/zoe"}), "Observation.subject"),
    "a group": (a_pressure(subject={"reference": "Group/1"}), "Observation.subject.reference"),
    "another type": ({**a_pressure(), "resourceType": "Condition"}, "resourceType"),
    "a list": (a_pressure(code=[]), "Observation.code"),
}


async def test_what_cannot_be_mapped_is_refused_with_its_path_and_nothing_is_stored(
    client: httpx.AsyncClient, filled: Connection
) -> None:
    for what, (resource, path) in UNMAPPABLE.items():
        outcome = await post(client, resource, 422)
        assert expressions(outcome) == [path], what
    assert await count(filled, "reading") == 0
    assert await count(filled, "quarantine") == 0
    for header in ("code=x", "identifier=x", "identifier=urn:his|2", "identifier=a|b&x=y"):
        await post(client, a_pressure(name="o-1"), 422, If_None_Exist=header)
    media = {"Content-Type": "application/xml"}
    response = await client.post("/fhir/Observation", content=b"<x/>", headers=media)
    check(exact(response.text))
    assert response.status_code == 415
    for broken in (b"{", b"[]", b'{"a": NaN}', b'"x"', b"1e999999999999"):
        response = await client.post("/fhir/Observation", content=broken, headers=JSON)
        check(exact(response.text))
        assert response.status_code == 422


async def test_nothing_is_taken_from_who_could_not_read_the_answer(
    client: httpx.AsyncClient, filled: Connection
) -> None:
    bundle = a_bundle(an_entry(a_pressure(name="o-1")), kind="batch")
    for resource, path in ((a_pressure(name="o-1"), "/Observation"), (bundle, "")):
        await post(client, resource, 406, path, Accept="application/fhir+xml")
        assert await count(filled, "reading") == 0
    await post(client, bundle, 200, "", Accept="application/fhir+json")
    assert await count(filled, "reading") == 1


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (
            a_sugar(Decimal("7.00"), "mmol/L", "14770-2"),
            ("7.00", "mmol/L", "fasting", "capillary_whole_blood"),
        ),
        (a_sugar(Decimal(126), "mg/dL", "2339-0"), ("126", "mg/dL", "unknown", None)),
        (a_sugar(Decimal("1.26"), "mg/dL", "1558-6"), None),
        (
            a_sugar(Decimal("99.5"), "mg/dL", "1558-6"),
            ("99.5", "mg/dL", "fasting", "undetermined_plasma"),
        ),
    ],
)
async def test_glucose_keeps_unit_context_and_sample_of_its_code(
    client: httpx.AsyncClient, filled: Connection, sent: Json, expected: tuple[Any, ...] | None
) -> None:
    await post(client, sent, 422 if expected is None else 201)

    cursor = await filled.execute("SELECT glucose::text, unit, meal_context, sample FROM reading")
    assert await cursor.fetchall() == ([] if expected is None else [expected])


async def test_what_we_write_is_what_we_read(client: httpx.AsyncClient) -> None:
    facts = [
        {
            "code": {"coding": [{"system": codes.FACTS, "code": name}]},
            "valueCodeableConcept": {"coding": [{"system": f"urn:suifang:{name}", "code": word}]},
        }
        for name, word in (("setting", "home"), ("meal-context", "bedtime"))
    ]
    made = await post(client, a_sugar(Decimal("5.60"), "mmol/L", "15074-8", component=facts), 201)
    assert made["code"]["coding"][0]["code"] == "15074-8"

    again = await post(client, _without(made, "id", "meta", "identifier", "device"), 200)

    assert again["id"] == made["id"]


async def test_only_an_enrolled_sender_of_the_centre_writes_about_its_own(
    database: Fresh, filled: Connection, tmp_path: Path
) -> None:
    async with an_api(database, tmp_path, subject="his-south", centres=["south"]) as south:
        outcome = await post(south, a_pressure(), 422)
        assert expressions(outcome) == ["Observation.subject"]
        nobody = await post(south, a_pressure(subject={"reference": "Patient/zoe"}), 422)
        assert nobody == outcome
        await post(south, a_pressure(subject={"reference": "Patient/carl"}, name="o-1"), 201)
    async with an_api(database, tmp_path, centres=["north"]) as north:
        assert await found_in(north, "Observation", identifier="urn:his|o-1") == []
        await post(north, a_pressure(name="o-1"), 201)  # Another sender's o-1 is another one.
        north.headers.update(as_sender(subject="his-south", centres=["north"]))
        await post(north, a_pressure(), 403)
        north.headers.update(as_sender(subject="unknown", centres=["north"]))
        await post(north, a_pressure(), 403)
        north.headers.update(as_sender(Role.SUPERVISOR))
        await post(north, a_pressure(), 403)
        await filled.execute(
            "UPDATE gateway SET revoked_at = %s, revoked_because = 'x' WHERE id = 'his-north'",
            (NOW,),
        )
        north.headers.update(as_sender(centres=["north"]))
        await post(north, a_pressure(150), 403)
    assert await count(filled, "reading") == 2
