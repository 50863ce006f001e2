"""The instrument's words survive literally and the gateway's cannot be forged.

A card number leaves nothing but its pseudonym.
"""

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import Refusal, RefusedError
from gateway.freezer import Stamp, freeze_reading
from gateway.identity import pseudonym
from gateway.wire.readings import parse_json, parse_reading
from tests.unit.gateway.gateway_builders import KEY, NOON

ID = UUID("019caf2e-0c00-7000-8000-000000000001")
STAMP = Stamp(ID, NOON, clock_synchronised=True)
CARD = "99000019490101001X"


def freeze(line: bytes, key: bytes | None = KEY) -> bytes:
    return freeze_reading(line, STAMP, key=key)


def refusal_of(line: bytes, key: bytes | None = KEY) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        freeze(line, key)
    return caught.value.code


@pytest.mark.parametrize(
    "literal", ["7.00", "18.6", "1E2", "1e-7", "-0.0", "0", "120", "1.50E+1", "9" * 400]
)
@pytest.mark.parametrize("card", [b"", b',"card_number":"99000019490101001X"'], ids=["", "card"])
def test_a_number_keeps_its_literal(literal: str, card: bytes) -> None:
    member = f'"glucose" : {literal}'

    frozen = freeze(b'{"kind":"glucose",' + member.encode() + card + b"}")

    assert member.encode() in frozen


def test_the_gateways_fields_stand_first_and_the_rest_follows_word_for_word() -> None:
    said = '"kind": "glucose", "note":"\\u9910\\u524d 餐前","nested":{"a" : [1.0, 2.50]}'

    frozen = freeze(f" {{{said}}}\r".encode())

    head = f'{{"id":"{ID}","captured_at":"2026-03-02T04:00:00.000Z","clock_synchronised":true,'
    assert frozen.decode().replace(", ", ",") == (head + said + "}").replace(", ", ",")
    assert "[1.0, 2.50]" in frozen.decode()


def test_a_frozen_reading_is_one_that_ingest_accepts() -> None:
    line = (
        b'{"kind":"blood_pressure","device_id":"cuff-1","systolic":18.60,"diastolic":12.0,'
        b'"unit":"kPa","card_number":"99000019490101001X"}'
    )

    reading = parse_reading(freeze(line))

    assert (reading.id, reading.captured_at) == (ID, NOON)
    assert reading.resident_id == pseudonym(KEY, CARD)


@pytest.mark.parametrize(
    "line",
    [
        b'{"kind":"glucose","glucose":"0Hi"}',
        b'{"kind":"glucose","meal_context":"after cake"}',
        b'{"kind":"weight"}',
        b'{"systolic":9999}',
        b"{}",
        b'{"note":"\\ud800"}',
    ],
)
def test_what_makes_no_sense_goes_through_as_it_stands(line: bytes) -> None:
    assert freeze(line).endswith(line[1:])


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", Refusal.MALFORMED_JSON),
        (b"   ", Refusal.MALFORMED_JSON),
        (b"{", Refusal.MALFORMED_JSON),
        (b"{]", Refusal.MALFORMED_JSON),
        (b"{'a':1}", Refusal.MALFORMED_JSON),
        (b'{"a"}', Refusal.MALFORMED_JSON),
        (b'{"a":}', Refusal.MALFORMED_JSON),
        (b'{"a":1,}', Refusal.MALFORMED_JSON),
        (b'{"a":1}}', Refusal.MALFORMED_JSON),
        (b'{"a":1}{"b":2}', Refusal.MALFORMED_JSON),
        (b'{"a":01}', Refusal.MALFORMED_JSON),
        (b'{"a":NaN}', Refusal.MALFORMED_JSON),
        (b'{"a":[-Infinity]}', Refusal.MALFORMED_JSON),
        (b"{1:2}", Refusal.MALFORMED_JSON),
        (b'{{"a":1}:2}', Refusal.MALFORMED_JSON),
        (b'{"a":"\xff"}', Refusal.MALFORMED_JSON),
        (b'\xef\xbb\xbf{"a":1}', Refusal.MALFORMED_JSON),
        (b'{"a":' + b"[" * 2_000 + b"]" * 2_000 + b"}", Refusal.MALFORMED_JSON),
        (b"[]", Refusal.NOT_AN_OBJECT),
        (b'"text"', Refusal.NOT_AN_OBJECT),
        (b"7.0", Refusal.NOT_AN_OBJECT),
        (b"null", Refusal.NOT_AN_OBJECT),
        (b'{"a":1,"a":2}', Refusal.DUPLICATE_FIELD),
        (b'{"card_number":"1","card\\u005fnumber":"2"}', Refusal.DUPLICATE_FIELD),
        (b'{"id":"019caf2e-0c00-7000-8000-000000000001"}', Refusal.GATEWAY_FIELD),
        (b'{"captured_at":"2026-03-02T04:00:00Z"}', Refusal.GATEWAY_FIELD),
        (b'{"clock_synchronised":true}', Refusal.GATEWAY_FIELD),
        (b'{"\\u0069d":1}', Refusal.GATEWAY_FIELD),
        (b'{"card_number":"1","resident_id":"r-1"}', Refusal.TWO_IDENTITIES),
        (b'{"card_number":990000194901010010}', Refusal.INVALID_CARD_NUMBER),
        (b'{"card_number":""}', Refusal.INVALID_CARD_NUMBER),
        (b'{"card_number":" "}', Refusal.INVALID_CARD_NUMBER),
        (b'{"card_number":{"a":"1"}}', Refusal.INVALID_CARD_NUMBER),
        (b'{"card_number":"' + b"9" * 65 + b'"}', Refusal.INVALID_CARD_NUMBER),
        (b'{"note":"' + b"x" * 4_000 + b'"}', Refusal.TOO_LARGE),
    ],
    ids=lambda value: value.decode("latin-1")[:40] if isinstance(value, bytes) else value,
)
def test_what_is_no_measurement_is_refused_with_its_reason(line: bytes, code: Refusal) -> None:
    assert refusal_of(line) is code


def test_a_card_number_without_a_key_is_refused() -> None:
    assert refusal_of(b'{"card_number":"99000019490101001X"}', None) is Refusal.NO_PSEUDONYM_KEY


def test_what_is_said_of_a_card_leaves_with_it_and_is_kept_without_one() -> None:
    said = b'"document":"passport","issuer":"UTO"'

    with_card = parse_json(freeze(b'{"kind":"glucose","card_number":"E1234567",%s}' % said))
    without = parse_json(freeze(b'{"kind":"glucose",%s}' % said))

    assert with_card["resident_id"] == pseudonym(KEY, "passport:UTO:E1234567")
    assert not with_card.keys() & {"card_number", "document", "issuer"}
    assert without.items() >= {"document": "passport", "issuer": "UTO"}.items()


def test_a_national_number_anywhere_else_is_refused() -> None:
    for line in (
        b'{"note":"99000019490101001X"}',
        b'{"resident_id":"99000019490101001x"}',
        b'{"a":[{"99000019490101001X":1}],"card_number":"99000019490101001X"}',
        b'{"a":"\\u00399000019490101001X"}',
    ):
        assert refusal_of(line) is Refusal.PERSONAL_DATA
    assert freeze(b'{"note":"990000194901010010"}')  # Just digits: nobody's.


def test_no_card_read_is_an_unclaimed_reading() -> None:
    fields = parse_json(freeze(b'{"card_number":null,"kind":"glucose"}', None))

    assert "card_number" not in fields
    assert "resident_id" not in fields


@pytest.mark.parametrize(
    "line",
    [
        b'{"card_number":"99000019490101001X","a":1}',
        b'{"a":1,"card_number" : "99000019490101001X"}',
        b'{"a":1,"card\\u005fnumber":"\\u00399000019490101001X","b":2}',
        b'{"card_number":"99000019490101001X"}',
    ],
)
def test_the_card_number_leaves_only_its_pseudonym(line: bytes) -> None:
    frozen = freeze(line)

    assert b"9000019490101001" not in frozen
    assert b"card" not in frozen
    assert parse_json(frozen)["resident_id"] == pseudonym(KEY, CARD)


def test_no_refusal_quotes_the_card_number() -> None:
    for line in (
        b'{"card_number":"99000019490101001X","id":1}',
        b'{"card_number":"99000019490101001X"',
        b'{"card_number":"99000019490101001X\xff"}',
        b'{"card_number":99000019490101001X}',
    ):
        with pytest.raises(RefusedError) as caught:
            freeze(line)
        assert "9900001949" not in f"{caught.value} {caught.value.__cause__}"


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(
    st.dictionaries(st.text(), JSON_VALUES, max_size=8),
    st.sampled_from([None, 1, "\t"]),
    st.booleans(),
)
def test_any_object_arrives_as_it_was_sent(
    fields: dict[str, Any],
    indent: int | str | None,
    escaped: bool,  # noqa: FBT001 - drawn
) -> None:
    line = json.dumps(fields, indent=indent, ensure_ascii=escaped, allow_nan=False)
    try:
        raw = line.encode()
    except UnicodeEncodeError:
        return  # An unpaired surrogate is no UTF-8.
    if len(raw) > 3_500 or {"id", "captured_at", "clock_synchronised", "card_number"} & set(fields):
        return

    frozen = parse_json(freeze(raw))

    own = ("id", "captured_at", "clock_synchronised")
    assert {name: frozen[name] for name in frozen if name not in own} == json.loads(
        line, parse_float=Decimal
    )


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:01.eE-truefalsn\\u ', max_size=60))
def test_no_bytes_are_frozen_that_are_not_json(line: bytes | str) -> None:
    raw = line.encode() if isinstance(line, str) else line
    try:
        frozen = freeze(raw)
    except RefusedError:
        return
    assert isinstance(json.loads(raw.decode()), dict)
    assert isinstance(json.loads(frozen), dict)
