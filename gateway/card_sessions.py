"""Whose reading is it, at a terminal that many people share.

A card opens a session for one resident; readings that follow at the same terminal are that
resident's until the session closes: by word, by the next card (even one that cannot be read), by
time, or with the connection. A session lives in memory alone, so a restart ends it.

Invariants:
    A reading is never given to the person before or after: what cannot be placed inside the
    session that is open stays unclaimed, and nothing is guessed. Unclaimed is no loss: the
    centre can claim it later, and its emergency goes to the centre.
    A late context is never claimed: it names a record, not a person.
    A card's number is turned into a pseudonym at once, and is in no error, log line or reply.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import count
from typing import Any, Final, NoReturn
from uuid import UUID

from gateway.devices import MarkedCapture
from gateway.documents import CARD_FIELDS, CARD_NUMBER, has_unknown_place, normalise
from gateway.errors import Refusal, RefusedError
from gateway.fetched import Mark
from gateway.freezer import resident_of, split_members
from gateway.prompts import PromptRouter, Show
from gateway.settings import GatewaySettings
from gateway.wire.receipts import Prompted
from gateway.wire.times import Clock, parse_instant

SESSION: Final = "session"
PROMPTS: Final = "prompts"
DEVICES: Final = "devices"
DEVICES_MAX: Final = 16
_AHEAD_S: Final = 5.0  # More than clocks part that follow a time server; then a time says nothing.
_ORDER_FIELDS: Final = frozenset({SESSION, PROMPTS, DEVICES}) | CARD_FIELDS
_MAY_BE_ORDER: Final = (b'"session"', b'"prompts"', b"\\")  # An escape may hide either.
UNREADABLE: Final = frozenset(
    {Refusal.MALFORMED_JSON, Refusal.NOT_AN_OBJECT, Refusal.TOO_LARGE, Refusal.INCOMPLETE_LINE}
)
"""Such a line may have been a card: it closes the session."""


@dataclass(slots=True)
class CardSession:
    """One resident at one terminal. Times are monotonic seconds."""

    number: int  # Of this gateway since it started: for the terminal's own use.
    resident_id: str
    opened_s: float
    last_s: float
    devices: tuple[str, ...] = ()


@dataclass(slots=True)
class CardDesk:
    """What all terminals of a gateway share: the key, the clocks, and instruments without a reader.

    An instrument that no card can be read at, such as a cuff on the radio, is bound to the session
    that last named it.
    """

    key: bytes | None
    settings: GatewaySettings
    clock: Clock
    monotonic_s: Callable[[], float]
    prompts: PromptRouter
    bound: dict[str, "Place"] = field(default_factory=dict)
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def place(self) -> "Place":
        """For one connection."""
        return Place(self)

    def claiming(self, capture: MarkedCapture) -> MarkedCapture:
        """``capture`` for instruments without a reader: with the resident if there is one."""

        def capture_claimed(raw: bytes, *, mark: Mark | None = None) -> asyncio.Future[UUID]:
            place = self._place_of(raw)
            if place is None:
                return capture(raw, mark=mark)
            line, mine = place.claim(raw)
            taking = capture(line, mark=mark)
            if mine:
                place.expect_prompts(taking)
            return taking

        return capture_claimed

    def _place_of(self, line: bytes) -> "Place | None":
        if not self.bound:
            return None
        device = {m.name: m.value for m in split_members(line)}.get("device_id")
        return self.bound.get(device) if isinstance(device, str) else None


class Place:
    """Where one card is read at a time: one connection."""

    def __init__(self, desk: CardDesk) -> None:
        self._desk = desk
        self._session: CardSession | None = None
        self._turn = 0
        self.has_had_session = False
        self.wants_prompts = False
        self.screen: Show | None = None  # Puts words on the display, if there is one now.

    @property
    def session(self) -> CardSession | None:
        """The one that is open now."""
        session, settings = self._session, self._desk.settings
        if session is not None:
            now_s = self._desk.monotonic_s()
            idle = now_s - session.last_s >= settings.card_idle_s_max
            if idle or now_s - session.opened_s >= settings.card_session_s_max:
                self.close()
        return self._session

    @property
    def turn(self) -> int:
        """Another number whenever somebody else may stand here."""
        _ = self.session  # Its time may be over.
        return self._turn

    def close(self) -> None:
        """Forget whose card it was."""
        session, self._session = self._session, None
        self._turn += 1
        for device in session.devices if session else ():
            if self._desk.bound.get(device) is self:
                del self._desk.bound[device]

    def expect_prompts(self, taking: asyncio.Future[UUID]) -> None:
        """Show what is said of a reading here, unless somebody else may stand here by then."""
        if self.wants_prompts:
            self._desk.prompts.expect(taking, partial(self._show, self.turn))

    def _show(self, turn: int, prompt: Prompted) -> bool:
        if turn != self.turn or not self.wants_prompts or self.screen is None:
            return False
        return self.screen(prompt)

    def obey(self, line: bytes) -> dict[str, Any] | None:
        """Carry out an order about the session, and return the answer; None: it is a measurement.

        Raises:
            RefusedError: An order that cannot be carried out. One to open a session has closed the
                one before all the same: somebody else stands there.
        """
        if not any(word in line for word in _MAY_BE_ORDER):
            return None
        members = split_members(line)
        said = {member.name: member.value for member in members}
        order = said.get(SESSION)
        if not isinstance(order, str) and not isinstance(said.get(PROMPTS), str):
            return None
        if order == "open":
            self.close()
        if len(said) != len(members):
            raise RefusedError(Refusal.DUPLICATE_FIELD, "a field stands twice; say each once")
        if said.keys() - _ORDER_FIELDS:
            _refuse("an order holds nothing but " + ", ".join(sorted(_ORDER_FIELDS)))
        answer: dict[str, Any] = {}
        if PROMPTS in said:
            answer[PROMPTS] = self._switch_prompts(said[PROMPTS])
        if order == "open":
            answer |= self._open(said)
        elif order == "close":
            self.close()
            answer[SESSION] = "closed"
        elif SESSION in said:
            _refuse('session is "open" or "close"')
        return answer

    def claim(self, line: bytes) -> tuple[bytes, bool]:
        """Put the resident into a reading's line, where it is certain; say whether it is there.

        A line that says itself whose it is keeps its word.
        """
        session = self.session
        if session is None and not any(word in line for word in _MAY_BE_ORDER):
            return line, False
        members = split_members(line)
        said = {member.name: member.value for member in members}
        kept = [member.text for member in members if member.name != SESSION]
        own = CARD_NUMBER in said or "resident_id" in said
        mine = not own and session is not None and self._is_of(session, said)
        if mine and session is not None:
            kept.insert(0, f'"resident_id":"{session.resident_id}"')
            session.last_s = self._desk.monotonic_s()
        return ("{" + ",".join(kept) + "}").encode(), mine

    def _open(self, said: Mapping[str, Any]) -> dict[str, Any]:
        devices = said.get(DEVICES, [])
        if (
            not isinstance(devices, list)
            or len(devices) > DEVICES_MAX
            or not all(isinstance(device, str) and device for device in devices)
        ):
            _refuse(f"devices is a list of at most {DEVICES_MAX} device_id")
        desk = self._desk
        now_s = desk.monotonic_s()
        resident_id = resident_of(said, desk.key)
        number = next(desk.numbers)
        self._session = CardSession(number, resident_id, now_s, now_s, tuple(devices))
        self.has_had_session = self.wants_prompts = True
        desk.bound.update(dict.fromkeys(devices, self))
        answer = {SESSION: "opened", "number": number, "seconds": desk.settings.card_idle_s_max}
        return answer | ({"warning": "unknown_place"} if _is_odd(said) else {})

    def _switch_prompts(self, word: object) -> str:
        if not isinstance(word, str) or word not in {"on", "off"}:
            _refuse('prompts is "on" or "off"')
        self.wants_prompts = word == "on"
        return word

    def _is_of(self, session: CardSession, said: Mapping[str, Any]) -> bool:
        """Whether a reading was certainly taken in this session."""
        named = said.get(SESSION, session.number)
        person = said.get("kind") != "glucose_context" and said.get("sample") != "control_solution"
        if not person or named is True or named != session.number:
            return False
        live = said.get("stored_record") is None or said["stored_record"] is False
        if said.get("measured_at") is None:
            return live
        measured_at, device_now = (_instant(said.get(n)) for n in ("measured_at", "device_now"))
        if measured_at is None:
            return False
        if device_now is None:
            if not live or said.get("device_now") is not None:
                return False  # From a memory, by a clock that may be wrong.
            device_now = self._desk.clock()
        ago_s = (device_now - measured_at).total_seconds()
        return -_AHEAD_S <= ago_s <= self._desk.monotonic_s() - session.opened_s


def _is_odd(said: Mapping[str, Any]) -> bool:
    return has_unknown_place(normalise(said))


def _instant(text: object) -> datetime | None:
    try:
        return parse_instant(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _refuse(detail: str) -> NoReturn:
    raise RefusedError(Refusal.INVALID_ORDER, detail)
