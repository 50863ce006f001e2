"""Promise: each figure over the API is the plain count over the histories, for whoever asks.

The oracle loops over people and days (``rules_indicators.py``, ``indicator_world.py``); what each
principal may see is written down by hand.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from api.app import create_app
from api.auth.permissions import Role
from api.auth.principal import Principal
from api.auth.settings import AuthSettings
from api.indicators.periods import parse
from api.indicators.shown import SHOWN
from api.settings import ApiSettings
from ingest.db.connections import Connection
from rules.indicators import Period
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.indicator_world import CENTRE_OF, NOW, TODAY, City, make_city, store_city
from tests.integration.running_api import running
from tests.integration.security_world import a_principal
from tests.tokens import ISSUER, Signer
from tests.unit.rules.rules_indicators import expect

SIGNER = Signer()
SUPERVISOR = a_principal(Role.SUPERVISOR)
SEES: dict[str, tuple[Principal, set[str | None]]] = {
    "supervisor": (SUPERVISOR, {"n1", "n2", "s1", None}),
    "supervisor of north": (a_principal(Role.SUPERVISOR, centres="north"), {"n1", "n2"}),
    "doctor of s1": (a_principal(Role.DOCTOR, teams="s1"), {"s1"}),
    "admin of north": (a_principal(Role.CENTRE_ADMIN, centres="north"), {"n1", "n2"}),
    "leader of n2 and s1": (a_principal(Role.TEAM_LEADER, teams="n2 s1"), {"n2", "s1"}),
    "doctor without a team": (a_principal(Role.DOCTOR), set()),
}


class Asking:
    """The API in this process, asked by whoever is named."""

    def __init__(self, client: httpx.AsyncClient, clock: TestClock) -> None:
        self._client = client
        self._clock = clock
        self.pass_by = clock.pass_by

    async def get(self, who: Principal, path: str, **asked: Any) -> httpx.Response:  # noqa: ANN401
        """One request."""
        headers = self._headers(who)
        return await self._client.get(f"/v1/indicators{path}", params=asked, headers=headers)

    async def put(self, who: Principal, path: str, body: Any) -> httpx.Response:  # noqa: ANN401
        """One request."""
        headers = self._headers(who)
        return await self._client.put(f"/v1/indicators{path}", json=body, headers=headers)

    async def examine(self, who: Principal, resident: str, day: str, *, done: bool) -> int:
        """Say that there was a health check, or none; returns the status."""
        path = f"/v1/residents/{resident}/health-checks/{day}"
        headers = self._headers(who)
        response = await self._client.put(path, json={"done": done}, headers=headers)
        return response.status_code

    def _headers(self, who: Principal) -> dict[str, str]:
        at = int(self._clock.now.timestamp())
        claims = SIGNER.claims(
            sub=who.subject, roles=sorted(who.roles), teams=sorted(who.team_ids),
            centres=sorted(who.centre_ids), iat=at, exp=at + 300,
        )  # fmt: skip
        return {"Authorization": f"Bearer {SIGNER.sign(claims)}"}

    async def figures(self, who: Principal, **asked: Any) -> dict[str, dict[Any, Any]]:  # noqa: ANN401
        """(numerator, denominator) by code, by (centre, team)."""
        response = await self.get(who, "", **asked)
        assert response.status_code == 200, response.text
        return {
            item["code"]: {
                (each["centre_id"], each["team_id"]): (each["numerator"], each["denominator"])
                for each in item["figures"]
            }
            for item in response.json()["items"]
        }

    async def people(self, who: Principal, code: str, **asked: Any) -> dict[str, tuple[int, int]]:  # noqa: ANN401
        """Numerator and denominator of everybody behind a figure, page by page."""
        found: dict[str, tuple[int, int]] = {}
        cursor: dict[str, str] = {}
        while True:
            asked_now = {**asked, **cursor, "limit": "7"}
            response = await self.get(who, f"/{code}/residents", **asked_now)
            assert response.status_code == 200, response.text
            page = response.json()
            for item in page["items"]:
                assert item["resident_id"] not in found
                found[item["resident_id"]] = (item["numerator"], item["denominator"])
            if page["next_cursor"] is None:
                return found
            cursor = {"cursor": page["next_cursor"]}


@asynccontextmanager
async def asking(database: Database, folder: Path) -> AsyncIterator[Asking]:
    keys = folder / "jwks.json"
    keys.write_bytes(SIGNER.jwks())
    auth = AuthSettings(issuer=ISSUER, jwks_file=keys)
    clock = TestClock(NOW)
    app = create_app(ApiSettings(db_dsn=SecretStr(database.dsn), auth=auth), clock)
    transport = httpx.ASGITransport(app)
    async with (
        running(app),
        httpx.AsyncClient(transport=transport, base_url="http://api", timeout=30) as client,
    ):
        yield Asking(client, clock)


@pytest.fixture
async def ask(database: Database, tmp_path: Path) -> AsyncIterator[Asking]:
    async with asking(database, tmp_path) as found:
        yield found


def period_of(name: str) -> Period:
    span = parse(name)
    return Period(first=span.first, last=span.last, as_of=TODAY)


async def a_city(connection: Connection, seed: int, people: int = 90) -> City:
    city = make_city(Random(seed), people)  # noqa: S311 - repeatable on purpose
    await store_city(connection, city)
    return city


@pytest.mark.parametrize("seed", range(2))
async def test_figures_of_teams_are_what_plain_loops_count(
    connection: Connection, ask: Asking, seed: int
) -> None:
    city = await a_city(connection, seed)

    for name in ("2026", "2025", "2026-H1", "2026-Q3", "2026-02", "2026-09"):
        found = await ask.figures(SUPERVISOR, period=name)
        for team in (*CENTRE_OF, None):
            expected = expect(city.of_teams([team]), period_of(name))
            for code, (numerator, denominator, _, estimate) in expected.items():
                place = (CENTRE_OF.get(team or ""), team)
                said = (numerator, None if estimate is None else denominator)
                if team is None and place not in found[code]:  # Nobody to be counted.
                    assert said in ((0, 0), (0, None)), (name, code)
                    continue
                assert found[code][place] == said, (name, code, team)


@pytest.mark.parametrize("name", SEES)
async def test_everybody_gets_the_figures_and_the_persons_of_those_whom_they_see(
    connection: Connection, ask: Asking, name: str
) -> None:
    city = await a_city(connection, 7, people=60)
    who, teams = SEES[name]
    expected: dict[str, tuple[int, int, list[int], list[int] | None]] = {}
    for period in ("2026", "2026-Q3"):
        expected = expect(city.of_teams(teams), period_of(period))
        found = await ask.figures(who, period=period, by="city")
        for code, (numerator, denominator, _, behind) in expected.items():
            said = (numerator, None if behind is None and teams else denominator)
            assert found[code][None, None] == said, code
    for code in ("htn.control_rate", "t2dm.standard_management_rate", "htn.routine_followup_late"):
        numerator, denominator, those, behind = expected[code]
        people = await ask.people(who, code, period="2026-Q3")
        assert sum(n for n, _ in people.values()) == numerator
        assert sum(d for _, d in people.values()) == denominator
        assert [*people] == [city.ids[person] for person in behind or []]
        counted = await ask.people(who, code, period="2026-Q3", side="numerator")
        assert [*counted] == [city.ids[person] for person in those]
        rest = await ask.people(who, code, period="2026-Q3", side="rest")
        assert rest == {id_: both for id_, both in people.items() if both[0] < both[1]}


async def test_centres_add_up_their_teams_and_filters_narrow(
    connection: Connection, ask: Asking
) -> None:
    await a_city(connection, 11, people=60)
    by_team = await ask.figures(SUPERVISOR, period="2026")
    by_centre = await ask.figures(SUPERVISOR, period="2026", by="centre")
    north = await ask.figures(SUPERVISOR, period="2026", by="city", centre="north")
    one = await ask.figures(SUPERVISOR, period="2026", team="s1", code="htn.control_rate")

    for code, teams in by_team.items():
        n = sum(teams["north", team][0] for team in ("n1", "n2"))
        assert by_centre[code]["north", None][0] == north[code][None, None][0] == n
    assert one == {
        "htn.control_rate": {("south", "s1"): by_team["htn.control_rate"]["south", "s1"]}
    }
    people = await ask.people(SUPERVISOR, "htn.control_rate", period="2026", team="s1")
    assert len(people) == by_team["htn.control_rate"]["south", "s1"][1]


async def test_over_a_denominator_of_nought_there_is_no_ratio(
    connection: Connection, ask: Asking
) -> None:
    await connection.execute("INSERT INTO centre VALUES ('north', 'N')")
    await connection.execute("INSERT INTO team VALUES ('n1', 'north', 'N1')")

    found = (await ask.get(SUPERVISOR, "", period="2026")).json()

    assert {item["code"] for item in found["items"]} == {*SHOWN}
    for item in found["items"]:
        assert item["formula"]
        assert item["source"]
        assert item["version"] >= 1
        (figure,) = item["figures"]
        assert figure["numerator"] == 0
        assert figure["denominator"] in (0, None)
        assert figure["ratio"] is figure["percent"] is None


async def test_the_table_says_what_the_figures_say(connection: Connection, ask: Asking) -> None:
    await a_city(connection, 13, people=40)
    figures = await ask.figures(SUPERVISOR, period="2026")

    response = await ask.get(SUPERVISOR, "/csv", period="2026")

    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.content.startswith(b"\xef\xbb\xbf")
    rows = [*csv.DictReader(io.StringIO(response.content.decode("utf-8-sig")))]
    assert len(rows) == sum(map(len, figures.values()))
    for row in rows:
        n, d = figures[row["code"]][row["centre_id"] or None, row["team_id"] or None]
        assert (row["numerator"], row["denominator"]) == (str(n), "" if d is None else str(d))
        assert row["formula"]
        assert row["source"]


async def test_a_wrong_question_says_which_part_is_wrong(ask: Asking) -> None:
    wrong: list[tuple[dict[str, str], str]] = [
        ({"period": "2026-Q5"}, "period"),
        ({"period": "2027"}, "period"),
        ({}, "period"),
        ({"period": "2026", "code": "htn.happiness"}, "code"),
        ({"period": "2026", "by": "street"}, "by"),
        ({"period": "2026", "tea": "n1"}, "tea"),
    ]
    assert (await ask.get(SUPERVISOR, "", period="2026")).status_code == 200
    for asked, field in wrong:
        response = await ask.get(SUPERVISOR, "", **asked)
        assert response.status_code == 400
        assert response.json()["errors"][0]["field"] == field
    for code in ("htn.happiness", "load.residents"):
        response = await ask.get(SUPERVISOR, f"/{code}/residents", period="2026")
        assert response.status_code == 404


async def test_whom_somebody_saw_behind_a_figure_is_in_the_audit_log(
    connection: Connection, ask: Asking
) -> None:
    await a_city(connection, 17, people=30)
    people = await ask.people(SUPERVISOR, "htn.control_rate", period="2026")
    assert people

    cursor = await connection.execute(
        "SELECT DISTINCT h.resident_id FROM audit_entry e JOIN audit_handle h"
        " ON h.handle = ANY(e.handles) WHERE e.object = 'list_indicator_residents'"
    )
    assert {id_ for (id_,) in await cursor.fetchall()} == {*people}


async def test_who_sees_no_resident_sees_no_figure(ask: Asking) -> None:
    assert (await ask.get(SUPERVISOR, "", period="2026")).status_code == 200
    for role in (Role.OPS, Role.AUDITOR):
        for path in ("", "/csv", "/htn.control_rate/residents"):
            response = await ask.get(a_principal(role), path, period="2026")
            assert response.status_code == 403


async def test_an_older_answer_is_dated_and_computed_anew_for_who_asks_next(
    connection: Connection, ask: Asking
) -> None:
    await a_city(connection, 19, people=30)
    asked = {"period": "2026", "by": "city", "code": "signing.all"}
    before = (await ask.get(SUPERVISOR, "", **asked)).json()
    await connection.execute("DELETE FROM indicator_year")
    await connection.execute(
        "INSERT INTO resident (id, team_id, created_at) VALUES ('r-new', 'n1', %s)", (NOW,)
    )

    assert (await ask.get(SUPERVISOR, "", **asked)).json() == before
    ask.pass_by(seconds=20)
    assert (await ask.get(SUPERVISOR, "", **asked)).json() == before  # And is computed anew.
    async with asyncio.timeout(20):
        while (after := (await ask.get(SUPERVISOR, "", **asked)).json()) == before:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.2)

    (old,), (new,) = (each["items"][0]["figures"] for each in (before, after))
    assert new["denominator"] == old["denominator"] + 1
    assert before["computed_at"] < after["computed_at"]
    ask.pass_by(minutes=6)  # Too old to be shown at all.
    last = (await ask.get(SUPERVISOR, "", **asked)).json()
    assert last["computed_at"] > after["computed_at"]


async def test_a_health_check_is_said_by_whoever_cares_for_the_resident(
    connection: Connection, ask: Asking
) -> None:
    city = await a_city(connection, 23, people=20)
    doctor, strange = SEES["doctor of s1"][0], a_principal(Role.DOCTOR, teams="n1")
    mine = next(city.ids[row] for row, team in city.team_of.items() if team == "s1")
    await connection.execute("DELETE FROM health_check")

    for _ in range(2):
        assert await ask.examine(doctor, mine, "2026-05-04", done=True) == 200
    assert await ask.examine(strange, mine, "2026-05-05", done=True) == 404
    assert await ask.examine(strange, "r-nobody", "2026-05-05", done=True) == 404
    assert await ask.examine(SUPERVISOR, mine, "2026-05-05", done=True) == 403
    assert await ask.examine(doctor, mine, "2026-09-17", done=True) == 400
    cursor = await connection.execute("SELECT resident_id, day::text, author FROM health_check")
    assert await cursor.fetchall() == [(mine, "2026-05-04", doctor.subject)]
    assert await ask.examine(doctor, mine, "2026-05-04", done=False) == 200
    cursor = await connection.execute("SELECT count(*) FROM health_check")
    assert await cursor.fetchone() == (0,)
