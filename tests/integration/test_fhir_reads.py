"""Promise: what is read at ``/fhir`` is what stands, exactly, once each, and valid FHIR R4.

Against a real TimescaleDB; the routes are called in this process.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from psycopg.types.json import Jsonb

from api.fhir import codes, searches
from api.fhir.kinds import RESOURCE_TYPES
from gateway.wire.ids import new_id, partition_time_of
from ingest.db.connections import Connection
from tests.fhir_world import ask, check, exact, found_in, resources_in
from tests.fix_db import Database as Fresh
from tests.integration.registry_bench import (
    ID_NUMBER,
    NOW,
    RESIDENT,
    RESIDENT_ID,
    a_registry,
    make_key_file,
    put,
    put_places,
)

_INSERT = """
INSERT INTO reading (id, partition_at, content_hash, kind, resident_id, centre_id, gateway_id,
    device_id, device_sequence, stored_record, captured_at, clock_synchronised, received_at,
    arrived_at, effective_at, time_suspect, setting, status, systolic, diastolic, pulse, glucose,
    meal_context, sample, unit)
VALUES (%(id)s, %(partition_at)s, 1, %(kind)s, %(resident_id)s, 'north', 'gw-1', %(device_id)s,
    %(sequence)s, false, %(at)s, true, %(received_at)s, %(at)s, %(at)s, false, 'office',
    %(status)s, %(systolic)s, %(diastolic)s, %(pulse)s, %(glucose)s, %(meal_context)s, %(sample)s,
    %(unit)s)"""
_PRESSURE = {"kind": "blood_pressure", "systolic": "146", "diastolic": "92.0", "pulse": "78"}
_NOTHING = dict.fromkeys(
    ("systolic", "diastolic", "pulse", "glucose", "meal_context", "sample", "sequence")
)


async def store(connection: Connection, **more: Any) -> UUID:  # noqa: ANN401 - columns are of any type
    """One reading, as ingest would leave it."""
    at = more.pop("at", NOW - timedelta(days=1))
    id_ = new_id(at)
    row = {
        **_NOTHING,
        **(_PRESSURE if more.get("kind") is None else {}),
        "resident_id": "anna",
        "device_id": "cuff:1",
        "unit": "mmHg",
        "status": [],
        "at": at,
        "received_at": at,
        "id": id_,
        "partition_at": partition_time_of(id_),
        **more,
    }
    await connection.execute(_INSERT, row)
    return id_


async def store_sugar(connection: Connection, **more: Any) -> UUID:  # noqa: ANN401 - likewise
    value = {"kind": "glucose", "glucose": "7.00", "unit": "mmol/L", "meal_context": "unknown"}
    return await store(connection, **{**value, "device_id": "meter", **more})


async def amend(connection: Connection, reading: UUID, kind: str, **changes: str) -> None:
    await connection.execute(
        "INSERT INTO amendment (id, kind, reading_id, changes, author, received_at)"
        " VALUES (%s, %s, %s, %s, 'dr-wang', %s)",
        (uuid4(), kind, reading, Jsonb(changes), NOW),
    )


@pytest.fixture
async def client(database: Fresh, connection: Connection) -> AsyncIterator[httpx.AsyncClient]:
    """The API in a database with two centres, a gateway, a device, and two residents."""
    await connection.execute("INSERT INTO centre VALUES ('north', 'North'), ('south', 'South')")
    await connection.execute("INSERT INTO team VALUES ('n1', 'north', 'N1'), ('s1', 'south', 'S1')")
    await connection.execute(
        "INSERT INTO gateway (id, centre_id, enrolled_at) VALUES ('gw-1', 'north', %s)", (NOW,)
    )
    await connection.execute(
        "INSERT INTO device VALUES ('cuff:1', 'gw-1', 'blood_pressure', 'U-100')"
    )
    await connection.execute(
        "INSERT INTO resident (id, team_id, created_at)"
        " VALUES ('anna', 'n1', %s), ('b.ob', 's1', %s)",
        (NOW, NOW),
    )
    async with a_registry(database.dsn) as opened:
        yield opened


async def found_ids(client: httpx.AsyncClient, **asked: Any) -> list[str]:  # noqa: ANN401
    return await found_in(client, "Observation", **asked)


async def test_the_capabilities_are_told_to_anybody_and_name_what_there_is(
    client: httpx.AsyncClient,
) -> None:
    told = await ask(client, "metadata")

    assert told["fhirVersion"] == "4.0.1"
    served = {each["type"]: each for each in told["rest"][0]["resource"]}
    assert set(served) == {kind.name for kind in RESOURCE_TYPES}
    for kind in RESOURCE_TYPES:
        names = {each["name"] for each in served[kind.name]["searchParam"]}
        assert {"_id"} <= names <= {f.alias or n for n, f in kind.query.model_fields.items()}


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        ("", 200),
        ("application/fhir+xml;q=0.9, application/fhir+json; fhirVersion=4.0", 200),
        ("text/html, */*;q=0.1", 200),
        ("Application/JSON", 200),
        ("application/fhir+xml", 406),
        ("application/xml, text/html", 406),
        ("application/json;q=0, application/xml", 406),
    ],
)
async def test_who_cannot_read_json_is_told_before_anything_is_done(
    client: httpx.AsyncClient, connection: Connection, accept: str, status: int
) -> None:
    headers = {"Accept": accept}
    id_ = await store(connection)
    for address in ("metadata", f"Observation/{id_}", "Device", "Patient/anna"):
        told = await client.get(f"/fhir/{address}", headers=headers)
        assert told.status_code == status, address
        check(exact(told.text))
    assert (await client.get("/fhir/Device?_format=json", headers=headers)).status_code == 200


@pytest.mark.parametrize("address", ["metadata", "Patient/anna", "Device", "Patient/nobody"])
async def test_another_format_that_is_asked_for_by_name_is_a_bad_parameter(
    client: httpx.AsyncClient, address: str
) -> None:
    refused = await client.get(f"/fhir/{address}", params={"_format": "xml"})
    assert refused.status_code == 400
    assert exact(refused.text)["issue"][0]["expression"] == ["_format"]
    assert exact(refused.text)["issue"][0]["diagnostics"]


async def test_a_pressure_is_one_resource_with_its_components_and_every_digit(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    id_ = await store(connection)

    one = await ask(client, f"Observation/{id_}")

    assert one["code"]["coding"][0]["code"] == "85354-9"
    values = {c["code"]["coding"][0]["code"]: c.get("valueQuantity") for c in one["component"]}
    assert str(values["8480-6"]["value"]) == "146"
    assert str(values["8462-4"]["value"]) == "92.0"
    assert values["8867-4"]["code"] == "/min"
    assert one["subject"]["reference"] == "Patient/anna"
    assert one["device"]["reference"] == "Device/cuff.3A1"
    assert (await ask(client, one["device"]["reference"]))["identifier"][0]["value"] == "cuff:1"
    assert (await ask(client, one["subject"]["reference"]))["id"] == "anna"


async def test_a_version_that_is_known_is_not_sent_again_and_a_correction_is_a_new_one(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    id_ = await store(connection)
    first = await client.get(f"/fhir/Observation/{id_}")
    tag = first.headers["etag"]
    assert tag == 'W/"1"'
    again = await client.get(f"/fhir/Observation/{id_}", headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")

    await amend(connection, id_, "correction", systolic="136")

    changed = await client.get(f"/fhir/Observation/{id_}", headers={"If-None-Match": tag})
    assert changed.headers["etag"] == 'W/"2"'
    assert changed.json()["status"] == "corrected"
    await amend(connection, id_, "retraction")
    assert (await ask(client, f"Observation/{id_}"))["status"] == "entered-in-error"


async def test_pages_follow_one_another_and_show_everything_once(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    stored = [
        str(await store(connection, at=NOW - timedelta(days=1, minutes=n % 3))) for n in range(7)
    ]
    seen: list[str] = []
    address: str | None = "/fhir/Observation?patient=Patient/anna&_count=2"
    while address is not None:
        response = await client.get(address)
        page = exact(response.text)
        check(page)
        assert "total" not in page
        seen += [each["id"] for each in resources_in(page)]
        links = {link["relation"]: link["url"] for link in page["link"]}
        address = links.get("next")
        if address is not None:
            await store(connection, at=NOW - timedelta(days=9))  # Before all that is still to come.

    assert len(seen) == 7
    assert set(seen) == set(stored)


async def test_searching_by_patient_code_and_dates_finds_just_those(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    pressure = str(await store(connection, at=NOW - timedelta(days=2)))
    fasting = str(await store_sugar(connection, meal_context="fasting"))
    random = str(await store_sugar(connection, sample="capillary_whole_blood"))
    await store(connection, resident_id="b.ob")
    await store_sugar(connection, sample="control_solution")

    async def of(**asked: Any) -> set[str]:  # noqa: ANN401
        return set(await found_ids(client, patient="anna", **asked))

    assert await of() == {pressure, fasting, random}
    assert await of(code="http://loinc.org|85354-9") == {pressure}
    assert await of(code="85354-9,77145-1") == {pressure, fasting}
    assert await of(code="14743-9") == {random}
    assert await of(code="http://snomed.info/sct|85354-9") == set()
    assert await of(code="55284-4") == set()
    assert await of(date="2026-03-14") == {pressure}
    assert await of(date=["ge2026-03-15", "lt2026-03-16"]) == {fasting, random}
    assert await of(date="gt2026-03") == set()
    assert await of(_lastUpdated=f"le{(NOW - timedelta(days=2)).isoformat()}") == {pressure}
    assert await of(_id=fasting) == {fasting}
    assert await of(identifier=f"{codes.READING_IDS}|{fasting}") == {fasting}
    assert await of(identifier="urn:his|7") == set()
    assert set(await found_ids(client, subject="Patient/b.2Eob", _id=fasting)) == set()


async def test_what_was_said_later_moves_a_reading_into_and_out_of_a_search(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    id_ = await store_sugar(connection, sequence=7)
    assert await found_ids(client, patient="anna", code="77145-1") == []
    await connection.execute(
        "INSERT INTO amendment (id, kind, device_id, device_sequence, changes, author, received_at,"
        " gateway_id, content_hash) VALUES (%s, 'context', 'meter', 7, %s, 'gw-1', %s, 'gw-1', 1)",
        (uuid4(), Jsonb({"meal_context": "fasting"}), NOW),
    )
    assert await found_ids(client, patient="anna", code="77145-1") == [str(id_)]
    assert await found_ids(client, patient="anna", _lastUpdated=f"ge{NOW.isoformat()}") == [
        str(id_)
    ]
    await amend(connection, id_, "correction", measured_at="2026-01-01T00:00:00+00:00")
    assert await found_ids(client, patient="anna", date="2026-01-01") == [str(id_)]

    await amend(connection, id_, "correction", resident_id="b.ob")

    assert await found_ids(client, patient="anna") == []
    assert await found_ids(client, patient="b.2Eob") == [str(id_)]
    (moved,) = resources_in(await ask(client, "Observation", patient="b.2Eob"))
    assert moved["subject"]["identifier"]["value"] == "b.ob"


async def test_a_reading_of_nobody_is_found_once_it_is_claimed(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    id_ = await store(connection, resident_id=None)
    assert "subject" not in await ask(client, f"Observation/{id_}")
    await amend(connection, id_, "correction", resident_id="anna")

    assert await found_ids(client, patient="anna") == [str(id_)]
    assert (await ask(client, f"Observation/{id_}"))["subject"]["reference"] == "Patient/anna"


REFUSED: tuple[tuple[str, dict[str, str], int, str | None], ...] = (
    ("Observation", {}, 400, "patient"),
    ("Observation", {"patient": "anna", "date": "yesterday"}, 400, "date"),
    ("Observation", {"patient": "anna", "date": "ap2026"}, 400, "date"),
    ("Observation", {"patient": "anna", "date": "2026-13"}, 400, "date"),
    ("Observation", {"patient": "anna", "date": "2026-01-01T10:00"}, 400, "date"),
    ("Observation", {"patient": "anna", "subject": "b"}, 400, "subject"),
    ("Observation", {"patient": "anna", "_count": "0"}, 400, "_count"),
    ("Observation", {"patient": "anna", "_cursor": "x"}, 400, "cursor"),
    ("Observation", {"patient": "anna", "value-quantity": "7"}, 400, "value-quantity"),
    ("Observation", {"identifier": "7"}, 400, "identifier"),
    ("Patient", {"name": "x"}, 400, "name"),
    ("Patient/nobody", {}, 404, None),
    ("Observation/nobody", {}, 404, None),
    ("Observation/%00", {}, 404, None),
    ("Patient/.00", {}, 404, None),
    ("Medication", {}, 404, None),
)


async def test_what_cannot_be_done_is_an_outcome_that_names_the_parameter(
    client: httpx.AsyncClient,
) -> None:
    for path, asked, status, element in REFUSED:
        outcome = await ask(client, path, status, **dict[str, Any](asked))

        assert outcome["resourceType"] == "OperationOutcome"
        expected = None if element is None else [element]
        assert outcome["issue"][0].get("expression") == expected, (path, asked)


async def test_a_name_is_in_the_patient_that_is_read_and_in_no_list(
    database: Fresh,
    tmp_path: Any,  # noqa: ANN401
) -> None:
    settings = {"key_file": make_key_file(tmp_path)}
    async with a_registry(database.dsn, **settings) as client:
        await put_places(client)
        personal = {"name": "某某", "id_number": ID_NUMBER}
        await put(client, f"residents/{RESIDENT_ID}", {**RESIDENT, "personal": personal}, 201)

        one = await client.get(f"/fhir/Patient/{RESIDENT_ID}")
        check(exact(one.text))
        assert one.json()["name"] == [{"use": "official", "text": "某某"}]
        assert one.json()["identifier"][1]["value"] == ID_NUMBER
        assert one.headers["cache-control"] == "no-store"
        assert one.headers["etag"] == 'W/"1"'
        page = await ask(client, "Patient", _lastUpdated="2026-03-16")
        (listed,) = resources_in(page)
        assert listed["birthDate"] == "1949-01-01"
        assert "name" not in listed
        assert len(listed["identifier"]) == 1


async def test_patients_and_devices_are_paged(
    client: httpx.AsyncClient, connection: Connection
) -> None:
    first = await ask(client, "Patient", _count=1)
    assert [each["id"] for each in resources_in(first)] == ["anna"]
    following = first["link"][1]["url"]
    assert [e["id"] for e in resources_in(exact((await client.get(following)).text))] == ["b.2Eob"]
    asked = {"identifier": f"{codes.DEVICE_IDS}|cuff:1"}
    (device,) = resources_in(await ask(client, "Device", **asked))
    assert device["id"] == "cuff.3A1"
    await connection.execute("DELETE FROM device")
    assert "entry" not in await ask(client, "Device")


@pytest.mark.parametrize(
    ("values", "since", "until"),
    [
        (["2026"], "2025-12-31T16:00:00", "2026-12-31T16:00:00"),
        (["2026-12"], "2026-11-30T16:00:00", "2026-12-31T16:00:00"),
        (["ge2026-03-01", "le2026-03-02"], "2026-02-28T16:00:00", "2026-03-02T16:00:00"),
        (["2026-03-01T10:00Z"], "2026-03-01T10:00:00", "2026-03-01T10:01:00"),
        (["2026-03-01T10:00:07+08:00"], "2026-03-01T02:00:07", "2026-03-01T02:00:08"),
        (["2026-03-01T10:00:07.5Z"], "2026-03-01T10:00:07.5", "2026-03-01T10:00:07.6"),
    ],
)
def test_a_date_is_the_whole_of_what_it_names_in_local_days(
    values: list[str], since: str, until: str
) -> None:
    span = searches.read_span("date", values)

    assert span.since.replace(tzinfo=None).isoformat().rstrip("0") == since.rstrip("0")
    assert span.until.replace(tzinfo=None).isoformat().rstrip("0") == until.rstrip("0")
