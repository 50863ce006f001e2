"""Promise: merged residents are judged as one, and parted as if they had never been merged.

The oracle is a judgement from nothing, of one pseudonym that all was sent under, and of the two.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from api.auth.permissions import Role
from ingest.db.connections import Connection, connect
from ingest.db.entities import Contract, Package
from ingest.db.residents import Population, Resident, load
from tests.builders import AT, a_blood_pressure, a_glucose
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.corrections_bench import (
    CENTRE,
    DOCTOR,
    EVERYBODY,
    OTHER_DOCTOR,
    CorrectionsBench,
    a_desk,
)
from tests.integration.security_world import a_principal

WEST = a_principal(Role.CENTRE_ADMIN, centres="west")


@pytest_asyncio.fixture
async def desk(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[CorrectionsBench]:
    async with a_desk(connection, database, clock, tmp_path) as bench:
        yield bench


async def merge(
    desk: CorrectionsBench,
    gone: str,
    into: str,
    *,
    status: int = 200,
    **asked: Any,  # noqa: ANN401 - as ``ask`` takes it
) -> httpx.Response:
    body = {"into": into, "reason": "registered twice"}
    asked = {"who": EVERYBODY, **asked}
    desk.clock.pass_by(seconds=1)
    return await desk.ask("PUT", f"residents/{gone}/merge", body, status=status, **asked)


async def unmerge(desk: CorrectionsBench, gone: str, *, status: int = 204) -> httpx.Response:
    desk.clock.pass_by(seconds=1)
    return await desk.ask("DELETE", f"residents/{gone}/merge", who=EVERYBODY, status=status)


def renamed(standing: tuple[Any, ...], gone: str, into: str) -> list[list[tuple[Any, ...]]]:
    """The same with one pseudonym in the place of the other; where and whose it was left out."""
    return [
        sorted(tuple(into if cell == gone else cell for cell in row[:8]) for row in rows)
        for rows in standing[:2]
    ]


async def test_two_histories_are_judged_as_one_and_apart_again(desk: CorrectionsBench) -> None:
    for number, resident in enumerate(("r-1", "r-2", "r-1", "r-2")):
        at = AT + timedelta(days=10 * number)
        desk.clock.now = at
        await desk.send(
            a_blood_pressure("152", "94", at=at, resident_id=resident),
            a_glucose("7.4", at=at, resident_id=resident),
        )
        await desk.settle(minutes=11)
    apart = await desk.standing()
    told = await merge(desk, "r-2", "r-1")
    assert (await merge(desk, "r-2", "r-1")).json() == told.json()
    await desk.work()

    assert {row[0] for rows in (await desk.standing())[:2] for row in rows} == {"r-1"}
    state = {row[1]: row[2] for row in (await desk.standing())[0]}
    assert state["hypertension"] == "referral_followup_overdue"  # Unsatisfied again and again.
    await desk.require_fresh()
    assert len(await desk.list_readings("r-1")) == 8
    assert await desk.list_readings("r-2") == await desk.list_readings("r-1")
    timelines = [
        (await desk.ask("GET", f"residents/{who}/timeline?kind=reading", status=200)).json()
        for who in ("r-1", "r-2")
    ]
    assert timelines[0] == timelines[1]
    assert len(timelines[0]["items"]) == 8

    await unmerge(desk, "r-2")
    await unmerge(desk, "r-2")
    await desk.work()
    assert (await desk.standing())[:2] == apart[:2]
    await desk.require_fresh()


class Life:
    """Everything that may happen to two pseudonyms, by chance."""

    def __init__(self, desk: CorrectionsBench, seed: int) -> None:
        self.desk = desk
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.sent: list[dict[str, Any]] = []
        self.merged = False

    async def happen(self) -> None:
        """One thing, and then the judge works, or does not yet."""
        self.desk.clock.pass_by(hours=self.chance.choice((1, 30, 200)))
        what = self.chance.choice(
            (self.measure, self.measure, self.merge, self.retract, self.claim)
        )
        resident = self.chance.choice(("r-1", "r-2"))
        await what(resident)
        if self.chance.random() < 0.2:
            await self.desk.record("visit", resident_id=resident)
        if self.chance.random() < 0.6:
            await self.desk.settle(minutes=self.chance.choice((1, 11)))

    async def measure(self, resident: str | None) -> None:
        """A pressure or a glucose value."""
        fields: dict[str, Any] = {"at": self.desk.clock.now, "resident_id": resident}
        fields["device_sequence"] = len(self.sent)
        if self.chance.random() < 0.5:
            value = self.chance.choice(("128", "152", "165", "186"))
            self.sent.append(a_blood_pressure(value, "94", **fields))
        else:
            self.sent.append(a_glucose(self.chance.choice(("5.5", "7.4", "17.2")), **fields))
        await self.desk.send(self.sent[-1])

    async def claim(self, resident: str) -> None:
        """A reading of nobody, and whose it is."""
        await self.measure(None)
        await self.desk.say("claim", self.sent[-1], resident_id=resident, who=EVERYBODY)

    async def retract(self, _: str) -> None:
        """One of them was none."""
        if self.sent:
            await self.desk.say("retraction", self.chance.choice(self.sent), who=EVERYBODY)

    async def merge(self, _: str = "") -> None:
        """Merge them, or part them."""
        await (unmerge(self.desk, "r-2") if self.merged else merge(self.desk, "r-2", "r-1"))
        self.merged = not self.merged


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_comes_in_whatever_order_it_is_as_if_sent_under_one_name(
    desk: CorrectionsBench, seed: int
) -> None:
    """Emergencies, claims, retractions and visits before, between, after merging and parting."""
    life = Life(desk, seed)
    ways = set()
    for _ in range(14):
        await life.happen()
        ways |= await desk.require_listed_as_owned("r-1", "r-2")
    assert ways == {True, False}
    await desk.settle(minutes=11)
    await desk.require_fresh()
    if not life.merged:
        await life.merge()
        await desk.settle(minutes=11)
    as_merged = renamed(await desk.standing(), "r-2", "r-1")
    await life.merge()
    await desk.settle(minutes=1)
    await desk.require_fresh()

    for statement in SENT_UNDER_ONE_NAME:
        await desk.connection.execute(statement)
    await desk.start_anew()
    assert renamed(await desk.standing(), "r-2", "r-1") == as_merged


SENT_UNDER_ONE_NAME = (
    "UPDATE reading SET resident_id = 'r-1' WHERE resident_id IS NOT NULL",
    "UPDATE record SET resident_id = 'r-1'",
    "UPDATE reading_owner SET resident_id = 'r-1'",
    """
UPDATE amendment SET changes = changes || '{"resident_id": "r-1"}' WHERE changes ? 'resident_id'""",
)


async def test_an_emergency_keeps_its_alert_through_merge_and_parting(
    desk: CorrectionsBench,
) -> None:
    await desk.send(a_blood_pressure("200", "95", resident_id="r-2"))
    await desk.settle(minutes=11)
    ((raised,),) = await desk.rows("SELECT id FROM alert WHERE code = 'BP_EMERGENCY'")
    for step, holder in ((merge, "r-1"), (unmerge, "r-2"), (merge, "r-1"), (unmerge, "r-2")):
        if step is merge:
            await merge(desk, "r-2", "r-1")
        else:
            await unmerge(desk, "r-2")
        await desk.work()
        assert await desk.rows(
            "SELECT id, resident_id, status FROM alert WHERE code = 'BP_EMERGENCY'"
        ) == [(raised, holder, "active")]
    told = await desk.rows("SELECT count(*) FROM outbox WHERE kind = 'alert.raised'")
    assert told == [(1,)]


async def test_the_merged_one_is_seen_by_the_survivors_team_and_comes_back_as_registered(
    desk: CorrectionsBench,
) -> None:
    await desk.send(a_glucose("7.4", resident_id="r-3"))
    await desk.settle(minutes=11)
    await desk.ask("GET", "residents/r-3/readings", who=DOCTOR, status=404)
    await merge(desk, "r-3", "r-1", who=CENTRE, status=404)
    await merge(desk, "r-1", "r-3", who=CENTRE, status=422)
    await merge(desk, "r-3", "r-1")
    await desk.settle(minutes=1)

    seen = await desk.ask("GET", "residents/r-1/readings", who=DOCTOR, status=200)
    assert len(seen.json()["items"]) == 1
    await desk.ask("GET", "residents/r-3/timeline", who=OTHER_DOCTOR, status=404)
    assert (await desk.ask("GET", "cases", who=OTHER_DOCTOR)).json()["items"] == []
    moved = Resident(id="r-3", team_id="west-1", birth_date=date(1950, 1, 1))
    await load(desk.connection, Population(residents=[moved]), at=desk.clock.now)
    assert await desk.rows("SELECT team_id FROM resident WHERE id = 'r-3'") == [("east-1",)]
    await desk.send(a_glucose("7.9", at=desk.clock.now, resident_id="r-3", device_sequence=9))
    await desk.settle(minutes=1)
    assert len((await desk.ask("GET", "residents/r-1/readings")).json()["items"]) == 2

    await unmerge(desk, "r-3")
    await desk.settle(minutes=1)
    assert await desk.rows("SELECT team_id FROM resident WHERE id = 'r-3'") == [("west-1",)]
    await desk.ask("GET", "residents/r-3/readings", who=OTHER_DOCTOR, status=200)
    await desk.require_fresh()


async def test_chains_contracts_and_folded_pasts_are_refused(desk: CorrectionsBench) -> None:
    await merge(desk, "r-1", "r-1", status=422)
    await merge(desk, "r-1", "r-9", status=422)
    await merge(desk, "r-2", "r-1")
    for gone, into in (("r-2", "r-3"), ("r-1", "r-3"), ("r-3", "r-2"), ("r-1", "r-2")):
        refused = await merge(desk, gone, into, status=409)
        assert refused.json()["type"] == "urn:suifang:problem:conflict"
    await unmerge(desk, "r-2")
    runs = Contract(id="c", resident_id="r-2", package_id="p", since=date(2026, 1, 1))
    packages = [Package(id="p", name="P")]
    await load(desk.connection, Population(packages=packages, contracts=[runs]), at=AT)
    await merge(desk, "r-2", "r-1", status=409)
    await merge(desk, "r-1", "r-2")
    past = (
        "INSERT INTO resident_checkpoint (resident_id, edge, until, state, facts, made_at)"
        " VALUES ('r-2', %(at)s, %(at)s, '', '{}', %(at)s)"
    )
    await desk.connection.execute(past, {"at": desk.clock.now + timedelta(days=1)})
    told = await unmerge(desk, "r-1", status=409)
    assert told.json()["type"] == "urn:suifang:problem:past-is-settled"


async def two_at_odds(desk: CorrectionsBench) -> None:
    """r-2 is controlled, r-1 waits for a second follow-up: the states of hypertension."""
    await desk.send(a_blood_pressure("128", "78", resident_id="r-2"))
    desk.clock.pass_by(days=1)  # Another sitting.
    await desk.send(a_blood_pressure("152", "94", at=desk.clock.now))
    await desk.settle(minutes=11)
    assert await states(desk) == ("second_followup_open", "controlled")


async def states(desk: CorrectionsBench) -> tuple[str, ...]:
    rows = await desk.rows(
        "SELECT state FROM resident_case WHERE condition = 'hypertension'"
        " AND resident_id IN ('r-1', 'r-2') ORDER BY resident_id"
    )
    return tuple(row[0] for row in rows)


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [("death", "withdrawal"), ("moved", "return"), ("contract_ended", "withdrawal")],
)
async def test_a_closure_by_hand_does_not_close_the_survivors_case(
    desk: CorrectionsBench, reason: str, remedy: str
) -> None:
    await two_at_odds(desk)
    closure = await desk.record("closure", resident_id="r-2", reason=reason)
    told = (await merge(desk, "r-2", "r-1", status=409)).json()
    assert told["type"] == "urn:suifang:problem:conflict"
    assert "withdraw" in told["detail"]
    assert ("recorded as dead" in told["detail"]) == (reason == "death")
    fields = {"withdraws": closure} if remedy == "withdrawal" else {}
    await desk.record(remedy, resident_id="r-2", **fields)
    await merge(desk, "r-2", "r-1")
    await desk.settle(minutes=1)

    assert "closed" not in await states(desk)
    if remedy == "withdrawal":
        assert (await states(desk))[0] == "second_followup_open"
    await desk.require_fresh()


@pytest.mark.parametrize("state", ["closed", "controlled"])
async def test_a_doctors_word_about_one_pseudonym_is_not_carried_over_unseen(
    desk: CorrectionsBench, state: str
) -> None:
    await two_at_odds(desk)
    fields = {"condition": "hypertension", "state": state, "resident_id": "r-2"}
    word = await desk.record("override", **fields)
    await merge(desk, "r-2", "r-1", status=409)  # Not judged yet.
    await desk.settle(minutes=1)
    told = await merge(desk, "r-2", "r-1", status=409)
    assert "override" in told.json()["detail"]
    await desk.record("withdrawal", resident_id="r-2", withdraws=word)
    await desk.settle(minutes=1)
    await merge(desk, "r-2", "r-1")
    await desk.settle(minutes=1)

    assert (await states(desk))[0] == "second_followup_open"


async def test_another_day_agreed_for_one_pseudonym_does_not_put_off_what_is_due_of_the_other(
    desk: CorrectionsBench,
) -> None:
    await two_at_odds(desk)
    await desk.send(a_blood_pressure("152", "94", at=desk.clock.now, resident_id="r-2"))
    await desk.settle(minutes=11)
    late = {"condition": "hypertension", "due": date(2027, 1, 1), "resident_id": "r-2"}
    await desk.record("reschedule", **late)
    await desk.settle(minutes=1)
    told = await merge(desk, "r-2", "r-1", status=409)
    assert "reschedule" in told.json()["detail"]


async def test_a_word_that_something_later_has_overtaken_is_history_as_a_visit_is(
    desk: CorrectionsBench,
) -> None:
    fields = {"condition": "hypertension", "state": "controlled", "resident_id": "r-2"}
    await desk.record("override", **fields)
    desk.clock.pass_by(days=1)
    await desk.send(a_blood_pressure("152", "94", at=desk.clock.now, resident_id="r-2"))
    await desk.settle(minutes=11)
    await merge(desk, "r-2", "r-1")
    await desk.settle(minutes=1)

    assert (await states(desk))[0] == "second_followup_open"


async def test_a_return_under_one_pseudonym_does_not_open_who_is_closed_under_the_other(
    desk: CorrectionsBench,
) -> None:
    await two_at_odds(desk)
    for resident in ("r-2", "r-1"):
        await desk.record("closure", resident_id=resident, reason="moved")
        desk.clock.pass_by(hours=1)
    back = await desk.record("return", resident_id="r-2")
    told = await merge(desk, "r-2", "r-1", status=409)
    assert "return" in told.json()["detail"]
    await desk.record("withdrawal", resident_id="r-2", withdraws=back)
    await merge(desk, "r-2", "r-1", status=409)  # The closure stands again.
    desk.clock.pass_by(hours=1)
    for resident in ("r-2", "r-1"):
        await desk.record("return", resident_id=resident)
    await merge(desk, "r-2", "r-1")


async def test_judges_that_work_meanwhile_end_at_the_same(
    desk: CorrectionsBench, database: Database
) -> None:
    for number in range(4):
        at = AT + timedelta(days=number)
        desk.clock.now = at
        who = ("r-1", "r-2")[number % 2]
        await desk.send(a_blood_pressure("186", "94", at=at, resident_id=who))
    desk.clock.pass_by(minutes=20)

    async def judge() -> None:
        async with await connect(
            database.dsn, application_name="test", autocommit=True
        ) as connection:
            for _ in range(25):
                await desk.judge.judge_once(connection)

    async def change() -> None:
        for _ in range(4):
            await merge(desk, "r-2", "r-1")
            await unmerge(desk, "r-2")
        await merge(desk, "r-2", "r-1")

    await asyncio.gather(judge(), judge(), change())
    await desk.work()
    await desk.require_fresh()
    assert {row[0] for rows in (await desk.standing())[:2] for row in rows} == {"r-1"}
