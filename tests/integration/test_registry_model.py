"""Promise: whatever is put, in whatever order and however often, the register is the model.

The model is a dictionary and a list of versions. Every sequence of writes over few ids, by PUT or
by bulk, repeated, conditional or not, ends in the same content, the same versions and the same
history; and the tables that the rules read are the last version.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.db.connections import connect
from tests.fix_db import Database
from tests.integration.registry_bench import a_registry, put, put_places

_TABLES: Final = (
    *("registry_change", "registry_entry", "resident_sealed", "resident_key", "contract_turn"),
    *("contract_due", "contract", "record", "resident_condition", "resident", "due_mark", "outbox"),
)
_DAYS: Final = ("2019-01-01", "2020-06-30", "2026-03-01")
_CONDITIONS: Final = st.lists(
    st.fixed_dictionaries(
        {
            "condition": st.sampled_from(["hypertension", "diabetes", "pregnant"]),
            "since": st.sampled_from(_DAYS),
            "until": st.sampled_from([None, "2026-03-05"]),
        }
    ),
    max_size=3,
    unique_by=lambda each: (each["condition"], each["since"]),
)
_RESIDENTS: Final = st.fixed_dictionaries(
    {
        "team_id": st.sampled_from([None, "n1", "s1"]),
        "birth_date": st.sampled_from([None, "1949-01-01", "1985-05-05"]),
        "sex": st.sampled_from([None, "female", "male"]),
        "enrolled_on": st.sampled_from([None, "2026-01-05"]),
        "conditions": _CONDITIONS,
    }
)


@dataclass(frozen=True)
class Step:
    """One write: of which resident, what, on what condition, and by which way."""

    id: str
    content: dict[str, Any]
    expects: int | None  # The version it says it replaces.
    by_bulk: bool


_STEPS: Final = st.lists(
    st.builds(
        Step,
        id=st.sampled_from(["r-1", "r-2", "r-3"]),
        content=_RESIDENTS,
        expects=st.sampled_from([None, None, 0, 1, 2, 3]),
        by_bulk=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@dataclass
class Model:
    """Versions of each resident, oldest first."""

    versions: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def write(self, step: Step) -> str:
        """What must come of a step."""
        content = {
            **step.content,
            "conditions": sorted(
                step.content["conditions"], key=lambda each: (each["condition"], each["since"])
            ),
        }
        known = self.versions.setdefault(step.id, [])
        same = bool(known) and known[-1] == content
        if not self._permits(step, len(known), same=same):
            return "refused"
        if same:
            return "unchanged"
        known.append(content)
        return "changed" if len(known) > 1 else "created"

    @staticmethod
    def _permits(step: Step, version: int, *, same: bool) -> bool:
        if step.expects is None or step.expects == version:
            return True
        # A retry of what already stands succeeds, except where a PUT asked that nothing stands.
        return same and (step.by_bulk or step.expects != 0)


@asynccontextmanager
async def _empty_register(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with await connect(database.dsn, application_name="test", autocommit=True) as connection:
        for table in _TABLES:
            await connection.execute(f"DELETE FROM {table}".encode())  # noqa: S608 - our own tables
        for table in ("package", "team", "centre"):
            await connection.execute(f"DELETE FROM {table}".encode())  # noqa: S608 - the same
    async with a_registry(database.dsn) as client:
        await put_places(client)
        yield client


async def _do(client: httpx.AsyncClient, step: Step) -> str:
    if step.by_bulk:
        line = {"id": step.id, **step.content}
        if step.expects is not None:
            line["version"] = step.expects
        response = await client.post(
            "/v1/residents/bulk",
            content=json.dumps(line),
            headers={"Content-Type": "application/x-ndjson"},
        )
        outcome: str = json.loads(response.text.splitlines()[0])["outcome"]
        return outcome
    headers: dict[str, Any] = {}
    if step.expects == 0:
        headers["If_None_Match"] = "*"
    elif step.expects is not None:
        headers["If_Match"] = f'"{step.expects}"'
    before = await client.get(f"/v1/residents/{step.id}")
    response = await put(client, f"residents/{step.id}", step.content, **headers)
    if response.status_code == 412:
        return "refused"
    if response.status_code == 201:
        return "created"
    assert response.status_code == 200, response.text
    return "unchanged" if response.json() == before.json() else "changed"


async def _check(client: httpx.AsyncClient, database: Database, model: Model) -> None:
    for id_, versions in model.versions.items():
        read = await client.get(f"/v1/residents/{id_}")
        if not versions:
            assert read.status_code == 404
            continue
        assert read.json().items() >= versions[-1].items()
        assert read.json()["version"] == len(versions)
        history = (await client.get(f"/v1/residents/{id_}/history")).json()["items"]
        told = [dict(version["content"]) for version in reversed(history)]
        assert [{k: v for k, v in each.items() if k != "personal"} for each in told] == versions
        async with await connect(database.dsn, application_name="test") as connection:
            cursor = await connection.execute(
                "SELECT condition, since::text, until::text FROM resident_condition"
                " WHERE resident_id = %s ORDER BY condition, since",
                (id_,),
            )
            stored = await cursor.fetchall()
        assert stored == [
            (each["condition"], each["since"], each["until"]) for each in versions[-1]["conditions"]
        ]


@pytest.mark.slow
@given(steps=_STEPS, repeated=st.lists(st.integers(min_value=0, max_value=11), max_size=4))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_sequence_of_writes_ends_in_the_model(
    database: Database, steps: list[Step], repeated: list[int]
) -> None:
    model = Model()
    sequence = steps + [steps[number] for number in repeated if number < len(steps)]
    async with _empty_register(database) as client:
        for step in sequence:
            assert await _do(client, step) == model.write(step), step
        await _check(client, database, model)
