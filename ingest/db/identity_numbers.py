"""Is an ID number one, whose is it, and does it fit the record? Pure; keeps and logs nothing.

Only what the number itself proves is checked: length, digits, check character and date. Its first
six digits name a district as it was when the number was given; no list of today knows them all.
"""

import unicodedata
from collections.abc import Sequence
from datetime import date
from typing import Final, Literal

from stdnum.cn import ric
from stdnum.exceptions import InvalidChecksum, InvalidComponent, InvalidFormat, InvalidLength
from stdnum.exceptions import ValidationError as NumberError

from gateway.wire.pseudonyms import pseudonym
from ingest.db.entities import Sex

Mistake = tuple[Literal["id_number", "birth_date", "sex", "id"], str]
"""Which field does not fit, and what would be right, without the number."""

_CHARACTERS: Final = 18
_SAID: Final[dict[type[NumberError], str]] = {
    InvalidLength: "has not 18 characters",
    InvalidFormat: "holds something else than digits (and X at the end)",
    InvalidChecksum: "has a wrong check character: mistyped, or digits exchanged",
    InvalidComponent: "holds no date of birth",
}


def compact(number: str) -> str:
    """Without blanks around, full-width digits as ordinary ones, X upper-case."""
    return unicodedata.normalize("NFKC", number).strip().upper()


def find_mistake(
    number: str,
    *,
    resident_id: str,
    birth_date: date | None,
    sex: Sex | None,
    pseudonym_keys: Sequence[bytes],
) -> Mistake | None:
    """What is wrong with a ``compact`` number, or with what it is sent with; None: nothing.

    The id is the number's pseudonym under any of the keys: who was registered under one that was
    replaced keeps the name. Without keys ids are not looked at.

    Source: GB 11643-1999 (17 digits: district, date of birth, order, odd for men; check character).
    """
    try:
        born = _check(number)
    except NumberError as error:
        return "id_number", _SAID.get(type(error), "is no ID number")
    if birth_date is not None and birth_date != born:
        return "birth_date", "is another than that inside the ID number; correct one of them"
    if sex is not None and (sex == "male") != (int(number[16]) % 2 == 1):
        return "sex", "is another than that inside the ID number; correct one of them"
    if pseudonym_keys and resident_id not in {pseudonym(key, number) for key in pseudonym_keys}:
        return "id", (
            "is not the pseudonym of this ID number: it is another person's, "
            "or computed with another key"
        )
    return None


def _check(number: str) -> date:
    if len(number) != _CHARACTERS:
        raise InvalidLength
    if not (number[:-1].isascii() and number[:-1].isdigit()) or number[-1] not in "0123456789X":
        raise InvalidFormat
    if number[-1] != ric.calc_check_digit(number):
        raise InvalidChecksum
    return ric.get_birth_date(number)
