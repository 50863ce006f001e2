"""Promise: the console's words are whole in both languages, and its door is shut to strangers."""

import re
import string
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse

from api.auth.permissions import Role
from api.auth.settings import AuthSettings
from api.cases.printing import _SEVERITIES, _STATES
from api.cases.queries import WAITING
from api.console.doorkeeper import Doorkeeper, is_of_this_site
from api.console.flow.dump import SHOWN_BYTES_MAX, dump
from api.console.pages import read_words
from api.console.provider import Beginning
from api.console.rules.profiles import in_chinese, list_profiles
from api.console.rules.weeks import TEAMS_MAX, chart_of
from api.console.settings import ConsoleSettings, OidcSettings
from api.console.sign_in import _own_path
from api.console.simulator.scenarios import SCENARIOS
from api.console.states import STATES
from api.settings import ApiSettings
from gateway.status import StatusProblem
from ingest.outcomes import Outcome
from ingest.remedies import REMEDIES
from rules.codes import AlertCode, CaseState, Condition, Severity

WORDS = Path(__file__).parents[3] / "api" / "console" / "words"


def fields_of(text: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def codes() -> Iterator[str]:
    """Every code of the database that a page may have to say."""
    yield from (f"code.{code.name}" for code in AlertCode if code.value)
    yield from (f"state.{state.name.lower()}" for state in CaseState)
    yield from (f"severity.{severity.name.lower()}" for severity in Severity)
    yield from (f"condition.{condition.name.lower()}" for condition in Condition)
    yield from (f"role.{role}" for role in Role)


def test_both_languages_have_the_same_texts_with_the_same_fields() -> None:
    chinese, english = read_words("zh"), read_words("en")

    assert chinese.keys() == english.keys()
    for name, text in chinese.items():
        assert fields_of(text) == fields_of(english[name]), name
        assert text.strip(), name


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_text_of_one_file_of_words_hides_one_of_another(language: str) -> None:
    names = [
        f"{group}.{name}"
        for file in WORDS.glob(f"{language}*.toml")
        for group, texts in tomllib.loads(file.read_text("utf-8")).items()
        for name in texts
    ]

    assert len(names) == len({*names}) > 500


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_code_of_the_database_has_its_word(language: str) -> None:
    words = read_words("zh" if language == "zh" else "en")

    assert {*codes()} <= words.keys()


def test_a_list_on_paper_says_of_a_case_what_the_page_says() -> None:
    words = read_words("zh")

    assert {words[f"severity.{name}"]: name for name in _SEVERITIES} == {
        word: name for name, word in _SEVERITIES.items()
    }
    assert {name: words[f"state.{name}"] for name in STATES} == _STATES


def test_the_states_are_those_of_the_rules() -> None:
    assert {*STATES} == {state.name.lower() for state in CaseState}
    assert {*WAITING} <= {*STATES}


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "same-site", "origin": "http://host:1", "host": "host:1"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "none"}, False),
        ({"origin": "http://host:1", "host": "host:1"}, True),
        ({"origin": "http://host:2", "host": "host:1"}, False),
        ({"origin": "null", "host": "host:1"}, False),
        ({"origin": "http://host:1@evil.example", "host": "host:1"}, False),
        ({"host": "host:1"}, False),
        ({}, False),
        ({"origin": "", "host": ""}, False),
    ],
)
def test_only_a_page_of_ours_may_change_something(headers: dict[str, str], *, ours: bool) -> None:
    assert is_of_this_site(Headers(headers)) is ours


async def test_the_cookie_becomes_the_bearer_token_and_never_wins_over_one() -> None:
    app = FastAPI()
    app.add_middleware(Doorkeeper)

    @app.api_route("/", methods=["GET", "POST"])
    async def tell(request: Request) -> JSONResponse:
        return JSONResponse(request.headers.get("authorization"))

    transport = httpx.ASGITransport(app)
    cookie = {"cookie": "other=1; suifang_session=abc.def"}
    async with httpx.AsyncClient(transport=transport, base_url="http://host") as client:
        told = [
            (await client.get("/", headers=cookie)).json(),
            (await client.get("/", headers={**cookie, "authorization": "Bearer x"})).json(),
            (await client.get("/")).json(),
        ]
        forged = await client.post("/", headers={**cookie, "origin": "https://evil.example"})
        own = await client.post("/", headers={**cookie, "origin": "http://host"})

    assert told == ["Bearer abc.def", "Bearer x", None]
    assert (forged.status_code, own.status_code) == (403, 200)


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/console/",
        "//evil.example",
        "/console/\\evil.example",
        "/v1/cases",
        "/console",
        "/console/sign-in",
        "/console/today\r\nSet-Cookie: x",
        "",
    ],
)
def test_after_signing_in_one_stays_in_the_console(address: str) -> None:
    assert _own_path(address) == ""
    assert _own_path("/console/today?a=b") == "/console/today?a=b"


def test_people_are_never_offered_beside_an_issuer_of_a_deployment() -> None:
    people = {"people_file": __file__, "signing_key_file": __file__}
    console = ConsoleSettings.model_validate(people)
    auth = AuthSettings(issuer="https://issuer.example", jwks_url="https://issuer.example/keys")
    with pytest.raises(ValidationError, match="API_CONSOLE__PEOPLE_FILE"):
        ApiSettings(db_dsn=SecretStr("postgresql://x"), auth=auth, console=console)
    with pytest.raises(ValidationError, match="belong together"):
        ConsoleSettings.model_validate({"people_file": __file__})


def test_the_quarantine_s_words_are_those_of_its_remedies() -> None:
    english, chinese = read_words("en"), read_words("zh")
    for reason, remedy in REMEDIES.items():
        assert english[f"meaning_of_quarantine.{reason}"] == remedy.meaning
        assert english[f"remedy_of_quarantine.{reason}"] == remedy.remedy
        assert (
            chinese[f"reason_of_quarantine.{reason}"] != english[f"reason_of_quarantine.{reason}"]
        )


def test_every_problem_and_outcome_that_a_page_may_tell_has_its_word() -> None:
    words = read_words("zh").keys()

    assert {f"problem_of_gateway.{problem}" for problem in StatusProblem} <= words
    assert {f"replayed.{outcome}" for outcome in Outcome} <= words


def test_a_chart_of_weeks_leaves_no_week_out_and_says_which_teams_it_does() -> None:
    rows: list[dict[str, Any]] = [
        {"team": "a", "week": "2026-W52", "extra": 2},
        {"team": None, "week": "2027-W02", "extra": -1},
    ]
    others = [{"team": f"t{n:02}", "week": "2026-W53", "extra": 5} for n in range(TEAMS_MAX)]

    assert chart_of(rows, "nobody's") == {
        "teams": ["a", "nobody's"],
        "weeks": ["2026-W52", "2026-W53", "2027-W01", "2027-W02"],
        "extra": [[2, 0, 0, 0], [0, 0, 0, -1]],
        "left_out": 0,
    }
    assert chart_of([*rows, *others], "x")["left_out"] == 2
    assert chart_of([], "x")["weeks"] == []


@pytest.mark.parametrize(
    ("payload", "text", "first"),
    [
        (b"", "", ""),
        ("压\n".encode(), "压\n", "00000000  e5 8e 8b 0a"),
        (b"\xff\x00\x1b[2J", "\\xff\\x00\\x1b[2J", "00000000  ff 00 1b 5b 32 4a"),
    ],
)
def test_bytes_are_shown_as_they_are_and_steer_nothing(
    payload: bytes, text: str, first: str
) -> None:
    shown = dump(payload)

    assert shown.text == text
    assert shown.lines.startswith(first)


@given(st.binary(max_size=3 * SHOWN_BYTES_MAX))
def test_the_digits_of_a_dump_are_the_bytes(payload: bytes) -> None:
    shown = dump(payload)
    digits = "".join(line[10:57] for line in shown.lines.splitlines())

    assert bytes.fromhex(digits) == payload[:SHOWN_BYTES_MAX]
    assert (shown.shown, shown.kept) == (min(len(payload), SHOWN_BYTES_MAX), len(payload))
    assert all(character.isprintable() or character == "\n" for character in shown.text)


OIDC = {
    "client_id": "console",
    "authorize_url": "https://issuer.example/authorize",
    "token_url": "https://issuer.example/token",
    "return_url": "https://clinic.example/console/sign-in/return",
}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"authorize_url": "http://issuer.example/authorize"}, "AUTHORIZE_URL"),
        ({"token_url": "https://user:secret@issuer.example/token"}, "TOKEN_URL"),
        ({"return_url": "https://clinic.example/elsewhere"}, "RETURN_URL"),
        ({"return_url": "/console/sign-in/return"}, "RETURN_URL"),
    ],
)
def test_addresses_of_an_issuer_are_safe_or_refused(wrong: dict[str, str], named: str) -> None:
    OidcSettings.model_validate(OIDC)
    with pytest.raises(ValidationError, match=f"API_CONSOLE__OIDC__{named}"):
        OidcSettings.model_validate({**OIDC, **wrong})


def test_people_sign_in_at_the_issuer_that_the_api_believes() -> None:
    console = ConsoleSettings(oidc=OidcSettings.model_validate(OIDC))
    with pytest.raises(ValidationError, match="needs API_AUTH__ISSUER"):
        ApiSettings(db_dsn=SecretStr("postgresql://x"), console=console)


@pytest.mark.parametrize(
    "cookie", ["", "x", "bnVsbA==", "W10=", "WyJhIiwgImIiLCAxXQ==", "é", "A" * 99]
)
def test_a_beginning_that_is_none_of_ours_is_none(cookie: str) -> None:
    assert Beginning.unpack(cookie) is None
    begun = Beginning.new("/console/today")
    assert Beginning.unpack(begun.pack()) == begun
    assert begun.is_answered_by(begun.state)
    assert not begun.is_answered_by("é")


def test_nothing_is_simulated_beside_an_issuer_of_a_deployment() -> None:
    console = ConsoleSettings.model_validate({"simulator_file": __file__})
    auth = AuthSettings(issuer="https://issuer.example", jwks_url="https://issuer.example/keys")
    with pytest.raises(ValidationError, match="API_CONSOLE__SIMULATOR_FILE"):
        ApiSettings(db_dsn=SecretStr("postgresql://x"), auth=auth, console=console)


def test_every_rule_and_scenario_has_its_word_and_no_english_stays_in_chinese_limits() -> None:
    chinese = read_words("zh")
    for profile in list_profiles(None):
        for version in profile.versions:
            for rule, _, limit, _ in version.rows:
                assert f"rule.{rule.replace('.', '_')}" in chinese
                assert not re.search(r"[a-z]{3,}", re.sub("mmHg|mmol/L", "", in_chinese(limit)))
    assert {f"scenario.{name}" for name in SCENARIOS} <= chinese.keys()
