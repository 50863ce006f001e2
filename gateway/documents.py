"""Numbers of identity documents: which are taken, and whether one is what it says it is.

A number that a reader has misread would become a stranger who owns somebody's readings, so what
has a check is checked, hard. Only a place that nobody knows is no error: counties are re-coded
all the time, and old numbers keep old codes. No error quotes a number, or a part of one; nothing
here keeps one.

Source: GB 11643-1999 (length, date, check character). Residence permits for Hong Kong, Macao and
Taiwan residents, the social security number (not the number of the card's chip) and, since 2023,
the foreigner's permanent residence card have numbers of the same form.
"""

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from gateway.errors import Refusal, RefusedError
from gateway.wire.limits import TEXT_CHARACTERS_MAX


class Document(StrEnum):
    """What was read. Stable: terminals say it."""

    RESIDENT_ID_CARD = "resident_id_card"  # And whatever shares its number.
    PERMANENT_RESIDENCE_CARD = "permanent_residence_card"  # Of foreigners, before 2023.
    PASSPORT = "passport"
    CENTRE_CARD = "centre_card"  # The centre's own, with a number that means nothing elsewhere.


CARD_NUMBER: Final = "card_number"
DOCUMENT: Final = "document"
ISSUER: Final = "issuer"  # Of a passport: the three letters of its country.
CARD_FIELDS: Final = frozenset({CARD_NUMBER, DOCUMENT, ISSUER})

_NATIONAL: Final = re.compile(r"[0-9]{17}[0-9X]", re.ASCII)
_ANYWHERE: Final = re.compile(r"(?<![0-9])[0-9]{17}[0-9X](?![0-9])", re.ASCII)
_LIKE_NATIONAL_DIGITS: Final = 14  # So many digits are a national number, or were to be one.
_PERMANENT_RESIDENCE: Final = re.compile(r"[A-Z]{3}[0-9]{12}", re.ASCII)
_PASSPORT: Final = re.compile(r"[A-Z0-9]{5,12}", re.ASCII)
_ISSUER: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_FOREIGNER: Final = "9"
# Source: GB/T 2260, first two digits; 81 to 83 also on residence permits.
_PROVINCES: Final = frozenset(
    map(
        str,
        (
            *(*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55)),
            *(*range(61, 66), 71, 81, 82, 83),
        ),
    )
)


def normalise(fields: Mapping[str, Any]) -> str:
    """The text that stands for a person, from what a terminal said of a card: what is hashed.

    A number without a document is a national one if it looks like one, and is checked; any
    other is the centre's own card.

    Args:
        fields: ``card_number`` and, where given, ``document`` and ``issuer``.

    Raises:
        RefusedError: ``invalid_card_number`` or ``unknown_document``; quotes nothing.
    """
    number = _text(fields.get(CARD_NUMBER))
    document = fields.get(DOCUMENT)
    if document is None:
        national = sum(map(str.isdecimal, number)) >= _LIKE_NATIONAL_DIGITS
        document = Document.RESIDENT_ID_CARD if national else Document.CENTRE_CARD
    if document == Document.RESIDENT_ID_CARD:
        _require_national(number)
    elif document == Document.PERMANENT_RESIDENCE_CARD:
        if not _PERMANENT_RESIDENCE.fullmatch(number):  # Since 2023 it is a national one.
            _require_national(number)
    elif document == Document.PASSPORT:
        return _passport(number, fields.get(ISSUER))
    elif document != Document.CENTRE_CARD:
        known = ", ".join(Document)
        raise RefusedError(Refusal.UNKNOWN_DOCUMENT, f"document is one of {known}")
    if fields.get(ISSUER) is not None:
        raise RefusedError(Refusal.INVALID_CARD_NUMBER, "only a passport has an issuer")
    if ":" in number:  # Else it could be made to look like another document's.
        raise RefusedError(Refusal.INVALID_CARD_NUMBER, "card_number holds no colon")
    return number


def has_unknown_place(person: str) -> bool:
    """Whether a national number begins with a province that nobody knows: worth a second look.

    Counties are not looked up: their table takes 5 MB of memory, and a re-coded county is no fault.
    """
    if not _NATIONAL.fullmatch(person):
        return False
    place = person[1:3] if person.startswith(_FOREIGNER) else person[:2]
    return place not in _PROVINCES


def holds_national_number(text: str) -> bool:
    """Whether a national number that is right in all that is checked stands in a text."""
    found = _ANYWHERE.findall(unicodedata.normalize("NFKC", text).upper())
    return any(_problem_of(number) is None for number in found)


def _text(number: object) -> str:
    """Full-width characters, small letters and blanks around make no difference."""
    if isinstance(number, str) and len(number) <= TEXT_CHARACTERS_MAX:
        text = unicodedata.normalize("NFKC", number).strip().upper()
        if text:
            return text
    raise RefusedError(
        Refusal.INVALID_CARD_NUMBER, f"card_number is text of 1 to {TEXT_CHARACTERS_MAX} characters"
    )


def _require_national(number: str) -> None:
    if not _NATIONAL.fullmatch(number):
        raise RefusedError(
            Refusal.INVALID_CARD_NUMBER, "a national number has 17 digits and a digit or X"
        )
    if problem := _problem_of(number):
        raise RefusedError(Refusal.INVALID_CARD_NUMBER, problem)


def _problem_of(number: str) -> str | None:
    """What is wrong with 17 digits and a digit or X."""
    from stdnum.cn import ric  # noqa: PLC0415 - where no card is read, nothing is loaded
    from stdnum.exceptions import ValidationError  # noqa: PLC0415

    if ric.calc_check_digit(number) != number[-1]:
        return "the check character is wrong: read again"
    try:
        ric.get_birth_date(number)
    except ValidationError:
        return "the date of birth is no day of the calendar"
    return None


def _passport(number: str, issuer: object) -> str:
    """Two countries may give the same number, so the country is part of what is hashed."""
    if not isinstance(issuer, str) or not _ISSUER.fullmatch(issuer):
        raise RefusedError(
            Refusal.INVALID_CARD_NUMBER, "a passport needs issuer: the three letters of its country"
        )
    if not _PASSPORT.fullmatch(number):
        raise RefusedError(
            Refusal.INVALID_CARD_NUMBER, "a passport's number has 5 to 12 letters and digits"
        )
    return f"passport:{issuer}:{number}"
