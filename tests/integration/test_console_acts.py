"""Promise: at the console one does something about what one has seen, and about nothing else.

The page posts the alerts of a case as it showed them; between looking and acting the world goes on.
"""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from ingest.db.connections import Connection
from tests.fix_clock import TestClock
from tests.fix_db import Database
from tests.integration.alert_bench import PEOPLE, SIGNER, AlertBench, an_alert_bench

WORSE: Final = "got worse meanwhile"
CHANGED: Final = "somebody else has taken it"


class Page:
    """Today as a doctor opened it; it does not look again by itself."""

    def __init__(self, bench: AlertBench, who: str, text: str) -> None:
        self._bench, self._who = bench, who
        (self.row,) = re.findall(r'<li class="alert alert-.*?</li>', text, re.DOTALL)[:1] or [""]
        form = self.row.partition("<form")[2].partition("</form>")[0]
        self.seen: list[str] = re.findall(r'name="seen" value="([^"]+)"', form)
        (self.alert,) = re.findall(r'id="alert-([^"]+)"', self.row)

    async def act(self, what: str, **fields: str) -> str:
        """Submit a form of it; the part of the page that comes back."""
        content: dict[str, Any] = {**fields, "seen": self.seen}
        response = await ask(
            self._bench, self._who, "POST", f"/alerts/{self.alert}/{what}", data=content
        )
        assert response.status_code == 200, response.text
        return response.text


async def ask(
    bench: AlertBench,
    who: str,
    method: str,
    path: str,
    **sent: Any,  # noqa: ANN401 - as httpx takes it
) -> httpx.Response:
    """One request of a page of the console."""
    at = int(bench.clock.now.timestamp())
    token = SIGNER.sign(SIGNER.claims(sub=who, iat=at - 1, exp=at + 600, **PEOPLE[who]))
    cookies = f"suifang_session={token}; suifang_language=en"
    headers = {"Cookie": cookies, "HX-Request": "true", "Sec-Fetch-Site": "same-origin"}
    return await bench.client.request(method, f"/console{path}", headers=headers, **sent)


async def look(bench: AlertBench, who: str = "doctor") -> Page:
    """Open Today, where one case stands."""
    return Page(bench, who, (await ask(bench, who, "GET", "/today/panel")).text)


async def standing(bench: AlertBench) -> dict[str, tuple[str | None, str | None]]:
    """Who has acknowledged each active alert, and who has put it aside."""
    rows = await bench.rows(
        "SELECT code, acknowledged_by, snoozed_by FROM alert a"
        " LEFT JOIN alert_attention t ON t.alert_id = a.id WHERE status = 'active'"
    )
    return {code: (taken, aside) for code, taken, aside in rows}


@pytest.fixture
async def bench(
    connection: Connection, database: Database, clock: TestClock, tmp_path: Path
) -> AsyncIterator[AlertBench]:
    """A judge and an API."""
    async with an_alert_bench(connection, database, clock, tmp_path) as opened:
        yield opened


async def two_alerts(bench: AlertBench) -> None:
    """One case with a quiet alert and, beside it, an emergency."""
    await bench.measure("138", "88", setting="home")
    await bench.measure("186", "112")


async def test_what_is_shown_of_a_case_is_taken_as_a_whole(bench: AlertBench) -> None:
    await two_alerts(bench)
    page = await look(bench)
    assert len(page.seen) == 2
    assert "Home blood pressure high" in page.row

    text = await page.act("acknowledgement", reason="contacted")

    assert "doctor has it" in text
    assert {*(await standing(bench)).values()} == {("doctor", None)}


@pytest.mark.parametrize(
    ("what", "field"), [("acknowledgement", {"reason": "contacted"}), ("snooze", {"hours": "4"})]
)
async def test_an_alert_that_came_meanwhile_is_not_taken_unseen(
    bench: AlertBench, what: str, field: dict[str, str]
) -> None:
    await bench.measure("138", "88", setting="home")
    page = await look(bench)
    await bench.measure("186", "112")

    text = await page.act(what, **field)

    assert WORSE in text
    assert "186/112" in text
    assert {*(await standing(bench)).values()} == {(None, None)}


@pytest.mark.parametrize("change", ["escalation = escalation + 1", "severity = 'critical'"])
async def test_an_alert_that_got_worse_meanwhile_is_looked_at_again(
    bench: AlertBench, change: str
) -> None:
    await bench.measure("138", "88", setting="home")
    page = await look(bench)
    await bench.connection.execute(f"UPDATE alert SET {change}".encode())  # noqa: S608 - of this list

    assert WORSE in await page.act("acknowledgement", reason="contacted")
    assert {*(await standing(bench)).values()} == {(None, None)}
    await (await look(bench)).act("acknowledgement", reason="contacted")
    assert {*(await standing(bench)).values()} == {("doctor", None)}


async def test_what_somebody_else_has_stays_theirs(bench: AlertBench) -> None:
    await two_alerts(bench)
    quiet = await bench.alert_of("BP_HOME_HIGH")
    await bench.ask("PUT", f"/{quiet}/acknowledgement", {"reason": "contacted"}, who="colleague")

    page = await look(bench)
    await page.act("acknowledgement", reason="visit_planned")
    taken = {"BP_EMERGENCY": ("doctor", None), "BP_HOME_HIGH": ("colleague", None)}
    assert await standing(bench) == taken

    await (await look(bench)).act("reopening")
    left = {"BP_EMERGENCY": (None, None), "BP_HOME_HIGH": ("colleague", None)}
    assert await standing(bench) == left


async def test_a_case_that_somebody_else_took_meanwhile_is_not_taken_from_them(
    bench: AlertBench,
) -> None:
    await two_alerts(bench)
    mine, theirs = await look(bench), await look(bench, "colleague")
    await theirs.act("acknowledgement", reason="contacted")

    assert CHANGED in await mine.act("acknowledgement", reason="contacted")
    assert {*(await standing(bench)).values()} == {("colleague", None)}


async def test_a_case_that_is_over_says_so_and_one_that_is_not_there_is_not_found(
    bench: AlertBench,
) -> None:
    await bench.measure("138", "88", setting="home")
    page = await look(bench)
    await bench.connection.execute("UPDATE alert SET status = 'resolved'")

    assert CHANGED in await page.act("acknowledgement", reason="contacted")
    stranger = Page(bench, "stranger", page.row)
    response = await ask(
        bench,
        "stranger",
        "POST",
        f"/alerts/{page.alert}/acknowledgement",
        data={"reason": "contacted", "seen": stranger.seen},
    )
    assert response.status_code == 404


async def test_a_form_that_does_not_say_what_was_seen_does_nothing(bench: AlertBench) -> None:
    await bench.measure("138", "88", setting="home")
    page = await look(bench)
    for seen in ([], ["x"], ["x high 1"], page.seen * 41, [page.seen[0].replace("info", "mild")]):
        response = await ask(
            bench,
            "doctor",
            "POST",
            f"/alerts/{page.alert}/acknowledgement",
            data={"reason": "contacted", "seen": seen},
        )
        assert response.status_code == 400, seen
    assert {*(await standing(bench)).values()} == {(None, None)}
