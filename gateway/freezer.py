"""One line of a terminal -> the bytes of one reading, frozen for ever.

The terminal's own members are copied as text, so a number keeps its literal; what only the
gateway may say (``id``, ``captured_at``, ``clock_synchronised``) is put in front; only when it
was captured may be said anew, once, before it joins a batch (``restamp``). A card
number leaves as a pseudonym and exists nowhere else afterwards. Values are not judged.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NoReturn
from uuid import UUID

from gateway.documents import CARD_FIELDS, CARD_NUMBER, holds_national_number, normalise
from gateway.errors import Refusal, RefusedError
from gateway.identity import pseudonym
from gateway.wire.limits import READING_BYTES_MAX
from gateway.wire.times import format_instant

GATEWAY_FIELDS: Final = frozenset({"id", "captured_at", "clock_synchronised"})
FROZEN_HEAD: Final = (
    rb'\{"id":"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})","captured_at":"'
    rb'[0-9T:.-]{23}Z","clock_synchronised":(?:true|false)'
)
"""How every frozen reading begins; group 1 is its id."""
_BLANKS = re.compile(r"[ \t\r\n]*")
_FROZEN_HEAD: Final = re.compile(FROZEN_HEAD)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the gateway adds to a measurement."""

    id: UUID
    captured_at: datetime
    clock_synchronised: bool


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a line."""

    name: str
    value: object
    text: str  # ``"name": value`` as the terminal wrote it.


def freeze_reading(line: bytes, stamp: Stamp, *, key: bytes | None) -> bytes:
    """Write the reading that the spool keeps and the broker gets.

    Args:
        line: One JSON object, without its line end.
        stamp: The gateway's own fields.
        key: Pseudonym key; without one a card number is refused.

    Raises:
        RefusedError: No JSON object, a field twice, a field of the gateway's, a card number
            that cannot be turned into a pseudonym, a national number anywhere else, or more
            than ``READING_BYTES_MAX`` bytes.
    """
    if len(line) > READING_BYTES_MAX:
        raise too_large()
    members = split_members(line)
    names = {member.name for member in members}
    if len(names) != len(members):
        raise RefusedError(Refusal.DUPLICATE_FIELD, "a field stands twice; say each once")
    if found := GATEWAY_FIELDS & names:
        raise RefusedError(
            Refusal.GATEWAY_FIELD, f"{min(found)} is the gateway's to say; leave it out"
        )
    head = _own_members(stamp)
    of_card = CARD_FIELDS if CARD_NUMBER in names else frozenset[str]()
    others = [member for member in members if member.name not in of_card]
    _keep_persons_out(others)
    kept = [member.text for member in others]
    resident = _resident(members, key)
    frozen = "{" + ",".join((*head, *resident, *kept)) + "}"
    raw = frozen.encode()
    if len(raw) > READING_BYTES_MAX:
        raise too_large()
    return raw


def restamp(raw: bytes, captured_at: datetime) -> bytes:
    """Say in a frozen reading when it was captured, now that the time is known.

    Raises:
        ValueError: It is no frozen reading.
    """
    head = _FROZEN_HEAD.match(raw)
    if head is None:
        msg = "no frozen reading: it does not begin with id, captured_at, clock_synchronised"
        raise ValueError(msg)
    stamp = Stamp(UUID(head.group(1).decode()), captured_at, clock_synchronised=True)
    return ("{" + ",".join(_own_members(stamp))).encode() + raw[head.end() :]


def _own_members(stamp: Stamp) -> tuple[str, str, str]:
    return (
        f'"id":"{stamp.id}"',
        f'"captured_at":"{format_instant(stamp.captured_at)}"',
        f'"clock_synchronised":{"true" if stamp.clock_synchronised else "false"}',
    )


def too_large() -> RefusedError:
    """The refusal of a measurement that no reading has room for."""
    return RefusedError(Refusal.TOO_LARGE, f"a reading holds at most {READING_BYTES_MAX} bytes")


def _keep_persons_out(members: list[Member]) -> None:
    """Refuse a national number where none belongs: it would travel on, and stay."""
    text = "\n".join(member.text for member in members)
    if "\\" in text:  # An escape may hide digits.
        said = {member.name: member.value for member in members}
        text += json.dumps(said, ensure_ascii=False)
    if holds_national_number(text):
        raise RefusedError(
            Refusal.PERSONAL_DATA, "a national number stands outside card_number: leave it out"
        )


def _resident(members: list[Member], key: bytes | None) -> tuple[str, ...]:
    """The member that stands for the card number: none, or the pseudonym."""
    given = {member.name: member.value for member in members}
    number = given.get(CARD_NUMBER)
    if number is None:
        return ()
    if "resident_id" in given:
        raise RefusedError(Refusal.TWO_IDENTITIES, "say card_number or resident_id, not both")
    return (f'"resident_id":"{resident_of(given, key)}"',)


def resident_of(fields: Mapping[str, object], key: bytes | None) -> str:
    """The pseudonym of whoever's card it is.

    Args:
        fields: ``card_number`` and what else was said of the card (``documents``).
        key: Pseudonym key.

    Raises:
        RefusedError: The number is wrong, or there is no key; quotes nothing.
    """
    person = normalise(fields)
    if key is None:
        raise RefusedError(
            Refusal.NO_PSEUDONYM_KEY, "this gateway has no key: set its pseudonym key file"
        )
    return pseudonym(key, person)


def _refuse_constant(literal: str) -> NoReturn:
    msg = f"{literal} is not JSON"
    raise ValueError(msg)


_DECODER: Final = json.JSONDecoder(parse_constant=_refuse_constant)


def split_members(line: bytes) -> list[Member]:
    """Cut a JSON object into its members. Raises ``RefusedError`` when it is none."""
    try:
        text = line.decode()
        start = _skip_blanks(text, 0)
        if text[start : start + 1] == "{":
            members, end = _read_members(text, start + 1)
        else:
            members, (_, end) = None, _DECODER.raw_decode(text, start)
        if _skip_blanks(text, end) != len(text):
            _refuse_text("unexpected text after the value", end)
    except (ValueError, RecursionError) as error:
        # A decoding error of UTF-8 quotes the bytes, hence only JSON's own words are passed on.
        detail = "not UTF-8" if isinstance(error, UnicodeError) else str(error)[:200]
        raise RefusedError(Refusal.MALFORMED_JSON, detail) from None
    if members is None:
        raise RefusedError(Refusal.NOT_AN_OBJECT, "expected one JSON object on each line")
    return members


def _read_members(text: str, position: int) -> tuple[list[Member], int]:
    members: list[Member] = []
    position = _skip_blanks(text, position)
    if text[position : position + 1] == "}":
        return members, position + 1
    while True:
        start = _skip_blanks(text, position)
        name, position = _DECODER.raw_decode(text, start)
        if text[start] != '"':
            _refuse_text("expected a field name in double quotes", start)
        position = _skip_blanks(text, position)
        if text[position : position + 1] != ":":
            _refuse_text("expected ':'", position)
        value, position = _DECODER.raw_decode(text, _skip_blanks(text, position + 1))
        members.append(Member(name, value, text[start:position]))
        position = _skip_blanks(text, position)
        if text[position : position + 1] == "}":
            return members, position + 1
        if text[position : position + 1] != ",":
            _refuse_text("expected ',' or '}'", position)
        position += 1


def _skip_blanks(text: str, position: int) -> int:
    found = _BLANKS.match(text, position)
    return found.end() if found else position


def _refuse_text(problem: str, position: int) -> NoReturn:
    msg = f"{problem}: char {position}"
    raise ValueError(msg)
