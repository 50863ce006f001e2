"""Promise: lists of cases hold what a plain look at all cases finds, in the order promised.

The oracle is Python over all rows: it knows no SQL and no index.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from api.auth.permissions import Role
from api.auth.principal import Principal
from deploy.embedded.stack import Stack
from ingest.db import cases
from ingest.db.cases import CaseRow
from ingest.db.connections import Connection, connect
from tests.fix_db import Database as Fresh
from tests.fix_db import cloned
from tests.integration.api_desk import Desk, a_desk
from tests.integration.registry_bench import make_key_file
from tests.integration.security_world import a_principal
from tests.integration.test_api import a_case

NOW: Final = datetime(2026, 3, 16, 16, 30, tzinfo=UTC)  # In Shanghai it is the 17th, a Tuesday.
TODAY: Final = date(2026, 3, 17)
TEAMS: Final = {"n1": "north", "n2": "north", "s1": "south"}
STATES: Final = {  # State: severity by itself, whether a referral is open.
    "controlled": (None, False),
    "second_followup_open": ("warn", False),
    "second_followup_overdue": ("warn", False),
    "referral_recommended": ("high", True),
    "emergency_referral": ("critical", True),
    "referral_followup_overdue": ("high", True),
    "screening_referral": ("warn", True),
    "screening": ("info", False),
    "closed": (None, False),
}
RISKS: Final = ["critical", "high", "warn", "info", None]
WHO: Final[dict[str, tuple[Principal, set[str | None]]]] = {
    "doctor": (a_principal(Role.DOCTOR, teams="n1"), {"n1"}),
    "leader": (a_principal(Role.TEAM_LEADER, teams="n1 s1"), {"n1", "s1"}),
    "centre": (a_principal(Role.CENTRE_ADMIN, centres="north"), {"n1", "n2"}),
    "supervisor": (a_principal(Role.SUPERVISOR), {"n1", "n2", "s1", None}),
    "nobody's doctor": (a_principal(Role.DOCTOR), set()),
}


def _make_cases() -> list[tuple[str | None, CaseRow]]:
    """The same hundred cases each time, with many equal days, and some without any."""
    chance = random.Random(6)  # noqa: S311 - a test's
    made: list[tuple[str | None, CaseRow]] = []
    for number in range(100):
        team = chance.choice([*TEAMS, None])
        state = chance.choice(list(STATES))
        days = [
            TODAY + timedelta(days=chance.randint(-4, 8)) if chance.random() < 0.4 else None
            for _ in range(3)
        ]
        case = a_case(
            f"r-{number // 2}",
            ("hypertension", "diabetes")[number % 2],
            state=state,
            severity=chance.choice([STATES[state][0], chance.choice(RISKS)]),
            second_followup_due=days[0],
            referral_followup_due=days[1],
            next_routine_due=days[2],
        )
        made.append((team if number % 2 == 0 else made[-1][0], case))
    return made


CASES: Final = _make_cases()


async def _fill(dsn: str) -> None:
    async with await connect(dsn, application_name="test", autocommit=True) as writer:
        await writer.execute("INSERT INTO centre VALUES ('north', 'N'), ('south', 'S')")
        for name, centre in TEAMS.items():
            await writer.execute("INSERT INTO team VALUES (%s, %s, %s)", (name, centre, name))
        for team, case in CASES[::2]:
            await writer.execute(
                "INSERT INTO resident (id, team_id, created_at) VALUES (%s, %s, %s)",
                (case.resident_id, team, NOW),
            )
        await cases.upsert(writer, [case for _, case in CASES])


@pytest.fixture(scope="module")
def world(stack: Stack, template_database: str) -> Iterator[Fresh]:
    """A hundred cases that nobody changes."""
    with cloned(stack, template_database) as clone:
        asyncio.run(_fill(clone.dsn))
        yield clone


@pytest.fixture
async def desk(world: Fresh, tmp_path: Path) -> AsyncIterator[Desk]:
    async with a_desk(world.dsn, lambda: NOW, tmp_path) as found:
        yield found


def _due(case: CaseRow) -> date | None:
    days = (case.second_followup_due, case.referral_followup_due, case.next_routine_due)
    return min((day for day in days if day is not None), default=None)


def _holds(team: str | None, case: CaseRow, asked: dict[str, Any]) -> bool:
    """Whether one case is what was asked for, filter by filter."""
    due = _due(case)
    facts: dict[str, Any] = {
        "team": team,
        "centre": TEAMS.get(team or ""),
        "condition": case.condition,
        "state": case.state,
        "severity": case.severity,
        "resident": case.resident_id,
        "overdue": due is not None and due < TODAY,
        "waiting_for_referral": STATES[case.state][1],
    }
    if "due_before" in asked and not (due is not None and due < asked["due_before"]):
        return False
    if "due_after" in asked and not (due is not None and due > asked["due_after"]):
        return False
    return all(facts[name] == value for name, value in asked.items() if name in facts)


def _order(sort: str, case: CaseRow, number: int) -> tuple[Any, ...]:
    day = _due(case) or date.max
    return {
        "number": (number,),
        "due": (day, number),
        "risk": (RISKS.index(case.severity), day, number),
    }[sort]


def _expected(seen: set[str | None], asked: dict[str, Any], sort: str) -> list[tuple[str, str]]:
    found = [
        (_order(sort, case, number), (case.resident_id, case.condition))
        for number, (team, case) in enumerate(CASES)
        if team in seen and _holds(team, case, asked)
    ]
    return [key for _, key in sorted(found)]


def _maybe(values: Any) -> Any:  # noqa: ANN401 - strategies
    return st.sampled_from(values)


_DAYS: Final = [TODAY + timedelta(days=days) for days in range(-5, 10)]
_QUERIES: Final = st.fixed_dictionaries(
    {},
    optional={
        "team": _maybe([*TEAMS, "n9"]),
        "centre": _maybe(["north", "south"]),
        "condition": _maybe(["hypertension", "diabetes"]),
        "state": _maybe(list(STATES)),
        "severity": _maybe(RISKS[:-1]),
        "resident": _maybe(["r-0", "r-7", "r-99"]),
        "due_before": _maybe(_DAYS),
        "due_after": _maybe(_DAYS),
        "overdue": st.booleans(),
        "waiting_for_referral": st.booleans(),
    },
)


async def _page_through(desk: Desk, who: Principal, asked: dict[str, Any]) -> list[tuple[str, str]]:
    seen: list[tuple[str, str]] = []
    cursor: dict[str, str] = {}
    while True:
        response = await desk.get(who, "/v1/cases", **asked, **cursor)
        page = response.raise_for_status().json()
        seen += [(item["resident_id"], item["condition"]) for item in page["items"]]
        if page["next_cursor"] is None:
            return seen
        assert len(page["items"]) == asked["limit"]
        cursor = {"cursor": page["next_cursor"]}


@given(
    asked=_QUERIES,
    sort=st.sampled_from(["number", "due", "risk"]),
    limit=st.sampled_from([7, 500]),
    name=st.sampled_from(list(WHO)),
)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_every_filter_order_and_page_is_what_a_plain_look_finds(
    desk: Desk, asked: dict[str, Any], sort: str, limit: int, name: str
) -> None:
    who, seen = WHO[name]
    text = {
        key: str(value).lower() if isinstance(value, bool) else value
        for key, value in asked.items()
    }

    found = await _page_through(desk, who, {**text, "sort": sort, "limit": limit})

    assert found == _expected(seen, asked, sort)


@pytest.mark.parametrize("name", WHO)
async def test_counts_are_those_of_a_plain_look(desk: Desk, name: str) -> None:
    who, seen = WHO[name]
    mine = [case for team, case in CASES if team in seen]
    days = [_due(case) for case in mine]
    sunday = date(2026, 3, 22)

    counts = (await desk.get(who, "/v1/cases/counts")).raise_for_status().json()

    assert counts == {
        "today": "2026-03-17",
        "overdue": sum(day is not None and day < TODAY for day in days),
        "due_today": days.count(TODAY),
        "due_this_week": sum(day is not None and TODAY <= day <= sunday for day in days),
        "waiting_for_referral": sum(STATES[case.state][1] for case in mine),
        **{risk: sum(case.severity == risk for case in mine) for risk in RISKS if risk},
    }


async def test_counts_are_of_the_team_and_centre_asked(desk: Desk) -> None:
    who, _ = WHO["supervisor"]
    whole = (await desk.get(who, "/v1/cases/counts", team="n1")).json()
    alone = (await desk.get(WHO["doctor"][0], "/v1/cases/counts")).json()
    other = (await desk.get(who, "/v1/cases/counts", team="n1", centre="south")).json()

    assert whole == alone
    assert {value for name, value in other.items() if name != "today"} == {0}


async def test_a_cursor_of_another_order_is_refused(desk: Desk) -> None:
    who, _ = WHO["supervisor"]
    cursor = (await desk.get(who, "/v1/cases", limit=1)).json()["next_cursor"]

    refused = await desk.get(who, "/v1/cases", sort="risk", cursor=cursor)

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"] == "cursor"


@pytest.mark.parametrize("name", WHO)
async def test_one_case_is_there_for_whom_the_list_shows_it_and_for_nobody_else(
    desk: Desk, name: str
) -> None:
    who, seen = WHO[name]
    everybody = (await desk.get(WHO["supervisor"][0], "/v1/cases", limit=500)).json()["items"]
    assert len(everybody) == len(CASES)
    for item in everybody[::7]:
        there = await desk.get(who, f"/v1/cases/{item['number']}")
        history = await desk.get(who, f"/v1/cases/{item['number']}/transitions")
        assert there.status_code == history.status_code
        if item["team_id"] in seen:
            assert there.json().items() >= item.items()
        else:
            missing = await desk.get(who, "/v1/cases/4000000000")
            assert there.status_code == missing.status_code == 404
            assert there.text.replace(f"/{item['number']}", "/4000000000") == missing.text


# --- history and print ---------------------------------------------------------------------------


async def _explained(writer: Connection) -> None:
    await writer.execute("INSERT INTO centre VALUES ('north', 'N')")
    await writer.execute("INSERT INTO team VALUES ('n1', 'north', 'N1')")
    await writer.execute(
        "INSERT INTO resident (id, team_id, created_at) VALUES ('anna', 'n1', %s)", (NOW,)
    )
    await cases.upsert(writer, [a_case(severity="warn")])
    for to in [f"s{number}" for number in range(25)]:
        await writer.execute(
            "INSERT INTO case_transition (resident_id, condition, from_state, to_state, at,"
            " profile, profile_version, author, explanation)"
            " VALUES ('anna', 'hypertension', 'none', %s, %s, 'wuzhou', '1', 'judge', %s)",
            (to, NOW, Jsonb({"zh": to, "en": to, "record": {}})),
        )


async def test_a_case_tells_why_and_every_change_newest_first(
    database: Fresh, connection: Connection, tmp_path: Path
) -> None:
    await _explained(connection)
    who = WHO["doctor"][0]
    async with a_desk(database.dsn, lambda: NOW, tmp_path) as desk:
        (item,) = (await desk.get(who, "/v1/cases")).json()["items"]
        path = f"/v1/cases/{item['number']}"
        shown = (await desk.get(who, path)).json()
        first = (await desk.get(who, f"{path}/transitions", limit=10)).json()
        rest = (
            await desk.get(who, f"{path}/transitions", limit=100, cursor=first["next_cursor"])
        ).json()
        blind = (await desk.get(WHO["supervisor"][0], path)).json()

    told = [each["to_state"] for each in first["items"] + rest["items"]]
    assert told == [f"s{number}" for number in reversed(range(25))]
    assert shown["explanation"] == {"zh": "s24", "en": "s24", "record": {}}
    assert [each["to_state"] for each in shown["transitions"]] == told[:20]
    assert (blind["explanation"], blind["transitions"]) == (None, [])  # Sees nothing measured.


async def test_the_printed_list_has_names_only_for_who_may_see_them_and_says_so_in_the_audit_log(
    database: Fresh, connection: Connection, tmp_path: Path
) -> None:
    system = a_principal(Role.CONTRACT_SYSTEM, kind="machine")
    key_file = make_key_file(tmp_path)
    async with a_desk(database.dsn, lambda: NOW, tmp_path, key_file=key_file) as desk:
        for path, body in {
            "centres/north": {"name": "N"},
            "teams/n1": {"name": "N1", "centre_id": "north"},
            "residents/anna": {"team_id": "n1", "personal": {"name": "=SUM(A1)"}},
        }.items():
            (await desk.ask(system, "PUT", f"/v1/{path}", json=body)).raise_for_status()
        await cases.upsert(connection, [a_case(severity="warn")])
        doctor, supervisor = WHO["doctor"][0], WHO["supervisor"][0]
        path = "/v1/cases/worklist"
        plain = await desk.get(doctor, path, team="n1")
        named = await desk.get(doctor, path, team="n1", names="true")
        refused = await desk.get(supervisor, path, team="n1", names="true")
        allowed = await desk.get(supervisor, path, team="n1")
        unnamed = await desk.get(doctor, path)

    assert named.headers["content-type"] == "text/csv; charset=utf-8"
    assert named.headers["cache-control"] == "no-store"
    assert named.text.startswith("\ufeff序号,居民编号,姓名,团队")
    assert "1,anna,'=SUM(A1),n1,高血压,待二次随访,注意,2026-03-16,是,否,1\r\n" in named.text
    assert "SUM" not in plain.text
    assert "1,anna,n1,高血压" in plain.text
    assert allowed.text == plain.text
    assert (refused.status_code, unnamed.status_code) == (403, 400)
    seen = await connection.execute(
        "SELECT subject, object FROM audit_entry WHERE action = 'read' ORDER BY id"
    )
    entries = await seen.fetchall()
    assert (doctor.subject, "read_names") in entries
    assert (supervisor.subject, "read_names") not in entries
    assert (supervisor.subject, "print_worklist") in entries
