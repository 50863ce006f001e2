"""Files of byte vectors: published examples, each with what its bytes say or that they are bad.

    {"vectors": [{"id", "characteristic", "hex", "expected" | "expected_error": true,
                  "source_agrees_with_spec", "spec_decoding", "byte_order", …}]}

``spec_decoding`` is the truth where there is one, else ``expected``, unless the file itself says
that its source is wrong. A vector passes when every field it lists is decoded to exactly that
value, or when the bytes are rejected and should be; without a truth, when they are either.
A field that it does not list is told and fails nothing: files list what their source asserts.
Characteristics are little-endian whatever the file says; plain numbers obey ``byte_order``.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Final, NoReturn

from gateway.devices.gatt.catalogue import find_characteristic
from gateway.devices.gatt.errors import DecodeError
from gateway.devices.gatt.exact_json import Json, write_json
from gateway.devices.gatt.glucose import LOCATIONS, SAMPLES
from gateway.devices.gatt.glucose_context import MEALS
from gateway.errors import GatewayError

FILE_BYTES_MAX: Final = 64 * 1024 * 1024
_TRAILING: Final = "_trailing"
_PLAIN_NUMBERS: Final = frozenset({"SFLOAT", "FLOAT32"})
_CODES: Final[Mapping[str, Mapping[int, str]]] = {
    "type": SAMPLES,
    "location": LOCATIONS,
    "meal": MEALS,
}
# Other words for one code that files of this form may use.
_SAME: Final = {
    "isf": "interstitial_fluid",
    "interstitial_fluid_isf": "interstitial_fluid",
    "alternate_site_test": "alternate_site",
    "alternate_site_test_ast": "alternate_site",
    "ast": "alternate_site",
    "location_not_available": "not_available",
    "sample_location_value_not_available": "not_available",
    "value_not_available": "not_available",
    "na": "not_available",
    "n/a": "not_available",
}
_RESERVED: Final = re.compile(r"(?:reserved(?:_for_future_use)?|rfu|unknown)?[\W_]*(\d*)\W*")
_BINARY_DIGITS: Final = Context(prec=15)  # No instrument sends more; a binary fraction has 17.


class VectorFileError(GatewayError):
    """The file is no file of byte vectors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one vector."""

    id: str
    characteristic: str
    passed: bool
    decoded: Mapping[str, Json]  # Empty where the bytes were rejected.
    rejected: str | None  # The code and where, if they were.
    differences: tuple[str, ...]
    unlisted: tuple[str, ...]  # Decoded fields that the vector says nothing of.


def read_vectors(path: Path) -> list[Mapping[str, Any]]:
    """Read a file, numbers exact. Raises ``VectorFileError``."""
    try:
        if path.stat().st_size > FILE_BYTES_MAX:
            msg = f"{path} is larger than {FILE_BYTES_MAX} bytes; split it"
            raise VectorFileError(msg)
        content = json.loads(path.read_bytes(), parse_float=Decimal, parse_constant=str)
    except OSError as error:
        msg = f"cannot read {path}: {error.strerror}. Name a file of byte vectors"
        raise VectorFileError(msg) from error
    except (ValueError, ArithmeticError, RecursionError) as error:
        msg = f"{path} is not JSON: {str(error)[:200]}"
        raise VectorFileError(msg) from error
    vectors = content.get("vectors") if isinstance(content, dict) else content
    if not isinstance(vectors, list) or not all(isinstance(v, dict) for v in vectors):
        msg = f'{path} has no list "vectors" of objects'
        raise VectorFileError(msg)
    return vectors


def check_vector(vector: Mapping[str, Any]) -> Verdict:
    """Decode one vector and compare. Never raises: what is wrong with it is a difference."""
    label, name = str(vector.get("id", "?")), str(vector.get("characteristic", "?"))
    fields: Mapping[str, Json] = {}
    shown: Mapping[str, Json] = {}
    rejected = None
    try:
        fields, shown = _decode(name, vector)
        differences, unlisted = _compare(fields, shown, vector)
    except DecodeError as error:
        rejected, unlisted = str(error), ()
        good = _should_be_rejected(vector) or not _has_truth(vector)
        differences = [] if good else [f"rejected: {error}"]
    except ValueError as error:
        differences, unlisted = [str(error)], ()
    return Verdict(
        id=label,
        characteristic=name,
        passed=not differences,
        decoded=shown,
        rejected=rejected,
        differences=tuple(differences),
        unlisted=unlisted,
    )


def _has_truth(vector: Mapping[str, Any]) -> bool:
    """The file says what is right, and not only what its source gets wrong."""
    agrees = vector.get("source_agrees_with_spec") is not False
    return agrees or isinstance(vector.get("spec_decoding"), dict)


def _should_be_rejected(vector: Mapping[str, Any]) -> bool:
    told = isinstance(vector.get("spec_decoding"), dict)
    return bool(vector.get("expected_error")) and not told and _has_truth(vector)


def _decode(name: str, vector: Mapping[str, Any]) -> tuple[Mapping[str, Json], Mapping[str, Json]]:
    """The fields as sent, and all there is to say. Raises ``DecodeError``, ``ValueError``."""
    characteristic = find_characteristic(name)
    if characteristic is None:
        _complain(f"no decoder for characteristic {name}")
    text = vector.get("hex")
    if not isinstance(text, str):
        _complain('a vector needs "hex"')
    value = read_hex(text)
    if characteristic.code in _PLAIN_NUMBERS and "big" in str(vector.get("byte_order", "")):
        value = value[::-1]
    return characteristic.fields(characteristic.decode(value)), characteristic.describe(value)


def read_hex(text: str) -> bytes:
    """Bytes from hexadecimal digits, with or without blanks, colons, dashes or 0x.

    Raises:
        ValueError: Anything else, or half a byte.
    """
    digits = text.lower().replace("0x", " ").translate(str.maketrans(":-,_", "    "))
    try:
        return bytes.fromhex(digits)
    except ValueError:
        msg = f"{text!r:.80} is not an even number of hexadecimal digits"
        raise ValueError(msg) from None


def _compare(
    fields: Mapping[str, Json], shown: Mapping[str, Json], vector: Mapping[str, Any]
) -> tuple[list[str], tuple[str, ...]]:
    if _should_be_rejected(vector):
        return [f"should be rejected, decoded to {write_json(fields)}"], ()
    if not _has_truth(vector):
        return [], tuple(fields)
    truth = vector.get("spec_decoding")
    truth = vector.get("expected") if truth is None else truth
    if not isinstance(truth, dict):
        _complain('a vector needs "expected", "spec_decoding" or "expected_error"')
    differences = []
    for field, wanted in truth.items():
        got = shown.get(field) if field == _TRAILING else fields.get(field)
        if not _same(field, wanted, got):
            differences.append(f"{field}: expected {_literal(wanted)}, decoded {_literal(got)}")
    return differences, tuple(name for name in fields if name not in truth)


def _same(field: str, wanted: Any, got: Json) -> bool:  # noqa: ANN401 - any JSON
    """Exactly equal; a code may be given as its number or by another usual word."""
    if isinstance(wanted, bool) or isinstance(got, bool):
        return wanted is got
    codes = _CODES.get(field)
    if codes is not None and isinstance(got, str):
        return _same_code(wanted, got, codes)
    if isinstance(wanted, Decimal):
        wanted = _BINARY_DIGITS.plus(wanted)
    return bool(wanted == got)


def _same_code(wanted: Any, got: str, codes: Mapping[int, str]) -> bool:  # noqa: ANN401 - any JSON
    if isinstance(wanted, int):
        return got == codes.get(wanted, f"reserved_{wanted}")
    word = re.sub(r"[\s-]+", "_", str(wanted).strip().lower())
    if got.startswith("reserved_"):
        reserved = _RESERVED.fullmatch(word)
        return reserved is not None and reserved[1] in {"", got.removeprefix("reserved_")}
    return got == _SAME.get(word, word)


def _literal(value: Any) -> str:  # noqa: ANN401 - any JSON
    return "nothing" if value is None else write_json(value)


def _complain(msg: str) -> NoReturn:
    raise ValueError(msg)
