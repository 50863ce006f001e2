"""Turns a template and what it shows into a page: language, words, times, security policy.

It must never show a text that a template has not escaped, and never name another host. Every
page forbids scripts and styles but its own files, so what somebody managed to store as a text
cannot run. Times are those of the residents (Asia/Shanghai).
"""

import hashlib
import re
import tomllib
from collections.abc import Collection
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, cast

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.local_days import LOCAL, local_day
from gateway.wire.times import Clock

PREFIX: Final = "/console"
LANGUAGE_COOKIE: Final = "suifang_language"
Language = Literal["zh", "en"]
LANGUAGES: Final[tuple[Language, Language]] = ("zh", "en")

_HERE: Final = Path(__file__).parent
_VENDOR: Final = ("vendor/htmx.min.js", "vendor/echarts.min.js")
# What the rules write into an alert's figures in English (rules/explain/thresholds.py).
_FIGURES: Final = (
    (re.compile(r", mean of (\d+)"), "figure.mean"),
    (re.compile(r"on (\d+) local days within (\d+)"), "figure.days_within"),
    (re.compile(r"within (\d+) days"), "figure.within"),
)
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Pages, whom they are for, and what they are called in the words.
_NAVIGATION: Final = (
    ("today", Permission.ALERTS_READ),
    ("worklist", Permission.CASES_READ),
    ("quality", Permission.INDICATORS_READ),
    ("fleet", Permission.OPERATIONS_READ),
    ("flow", Permission.OPERATIONS_READ),
    ("rules", Permission.OPERATIONS_READ),
    ("simulator", Permission.OPERATIONS_WRITE),
    ("operations", Permission.OPERATIONS_READ),
)


class Words:
    """One language's texts, by dotted names."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language
        self._texts = read_words(language)

    def __call__(self, name: str, **values: object) -> str:
        """The text. Raises ``KeyError`` for a name that is not there."""
        return self._texts[name].format(**values)

    def __contains__(self, name: str) -> bool:
        """Whether there is a text of this name."""
        return name in self._texts

    def of(self, group: str, name: object) -> str:
        """The text for a code of the database; the code itself where there is none yet."""
        return self._texts.get(f"{group}.{name}", str(name))

    def figure(self, text: str) -> str:
        """An alert's figures as stored ("> 140/90 mmHg, mean of 2"), in this language."""
        for pattern, name in _FIGURES:
            text = pattern.sub(self._texts[name], text)
        return text.replace(">=", "≥").replace("<=", "≤")

    def day(self, value: date | None) -> str:
        """A local day, in digits."""
        return "" if value is None else f"{value:%Y-%m-%d}"

    def time(self, value: datetime) -> str:
        """A local time to the minute."""
        return f"{value.astimezone(LOCAL):%Y-%m-%d %H:%M}"

    def moment(self, value: datetime, now: datetime) -> str:
        """A local time, as short as it can be told beside ``now``."""
        at, today = value.astimezone(LOCAL), local_day(now)
        if at.date() == today:
            return self("time.today", time=f"{at:%H:%M}")
        if (today - at.date()).days == 1:
            return self("time.yesterday", time=f"{at:%H:%M}")
        if at.year == today.year:
            return f"{at:%m-%d %H:%M}"
        return f"{at:%Y-%m-%d}"

    def due(self, value: date | None, today: date) -> str:
        """How many days there are left, or have passed."""
        if value is None:
            return ""
        left = (value - today).days
        if left == 0:
            return self("due.today")
        return self("due.left", days=left) if left > 0 else self("due.overdue", days=-left)


def read_words(language: Language) -> dict[str, str]:
    """All texts of a language by ``group.name``."""
    texts: dict[str, str] = {}
    for file in sorted((_HERE / "words").glob(f"{language}*.toml")):
        for group, words in tomllib.loads(file.read_text("utf-8")).items():
            texts |= {f"{group}.{name}": text for name, text in words.items()}
    return texts


class Pages:
    """Templates and words, read once."""

    def __init__(self, static: Path, clock: Clock, *, without: Collection[str] = ()) -> None:
        self._clock = clock
        self._without = without  # Pages that this deployment does not have.
        self._words = {language: Words(language) for language in LANGUAGES}
        self._static = static
        self._versions: dict[str, str] = {}
        self._environment = Environment(
            loader=FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @property
    def missing(self) -> list[str]:
        """Scripts of others that were not built in."""
        return [name for name in _VENDOR if not (self._static / name).is_file()]

    def words(self, request: Request) -> Words:
        """The words of whoever looks: Chinese unless they chose otherwise."""
        chosen = request.cookies.get(LANGUAGE_COOKIE)
        return self._words["en" if chosen == "en" else "zh"]

    def render(
        self,
        request: Request,
        template: str,
        *,
        principal: Principal | None = None,
        status: int = 200,
        **shown: Any,  # noqa: ANN401 - whatever the template shows
    ) -> HTMLResponse:
        """A page, or a part of one."""
        now = self._clock()
        words = self.words(request)
        text = self._environment.get_template(template).render(
            t=words,
            language=words.language,
            prefix=PREFIX,
            static=self._address_of,
            missing=self.missing,
            principal=principal,
            navigation=[name for name in _navigation(principal) if name not in self._without],
            path=request.url.path,
            here=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            now=now,
            today=local_day(now),
            code_of=code_of,
            **shown,
        )
        headers = {"Content-Security-Policy": CONTENT_SECURITY_POLICY}
        return HTMLResponse(text, status_code=status, headers=headers)

    def _address_of(self, name: str) -> str:
        """The address of a file of ours, with its version."""
        if name not in self._versions:
            path = self._static / name
            content = path.read_bytes() if path.is_file() else b""
            self._versions[name] = hashlib.sha256(content).hexdigest()[:12]
        return f"{PREFIX}/static/{name}?v={self._versions[name]}"


def _navigation(principal: Principal | None) -> list[str]:
    return [name for name, needed in _NAVIGATION if principal is not None and principal.may(needed)]


def code_of(resident_id: str) -> str:
    """The first characters of a pseudonym: enough to tell the residents of a team apart."""
    return resident_id.removeprefix("r-")[:8].upper()


def find_pages(request: Request) -> Pages:
    """The pages of the console that this request came to."""
    return cast("Pages", request.app.state.pages)


Shown = Annotated[Pages, Depends(find_pages)]
