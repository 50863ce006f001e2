"""A number is taken when it is right, and no error repeats one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.documents import has_unknown_place, holds_national_number, normalise
from gateway.errors import Refusal, RefusedError

# Area code 990000: nobody's.
VALID = ("99000019490101001X", "990000198002290036", "990000200002291143")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def checked(first: str) -> str:
    """The eighteenth character, straight from the standard's own table."""
    total = sum(w * int(digit) for w, digit in zip(_WEIGHTS, first, strict=True))
    return first + "10X98765432"[total % 11]


def refusal_of(**fields: object) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        normalise(fields)
    return caught.value


@pytest.mark.parametrize("number", VALID)
def test_a_right_number_is_taken_whether_its_document_is_said_or_not(number: str) -> None:
    for written in (number, f" {number.lower()} ", number.translate(_WIDE)):
        assert normalise({"card_number": written}) == number
        assert normalise({"card_number": written, "document": "resident_id_card"}) == number


_WIDE = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")


@given(st.integers(0, 999), st.dates().filter(lambda day: day.year >= 1000))
def test_the_check_is_the_standards(sequence: int, born: object) -> None:
    number = checked(f"990000{str(born).replace('-', '')}{sequence:03d}")

    assert normalise({"card_number": number}) == number


@given(st.sampled_from(VALID), st.integers(0, 16), st.integers(1, 9))
def test_one_wrong_digit_is_refused(number: str, place: int, more: int) -> None:
    digit = str((int(number[place]) + more) % 10)
    wrong = number[:place] + digit + number[place + 1 :]

    error = refusal_of(card_number=wrong)

    assert error.code is Refusal.INVALID_CARD_NUMBER
    assert wrong not in str(error)


@given(st.sampled_from(VALID), st.integers(0, 15))
def test_two_neighbours_in_the_wrong_order_are_refused(number: str, place: int) -> None:
    wrong = number[:place] + number[place + 1] + number[place] + number[place + 2 :]
    if wrong != number:
        assert refusal_of(card_number=wrong).code is Refusal.INVALID_CARD_NUMBER


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(checked("99000019490230001"), id="30-february"),
        pytest.param(checked("99000019491301001"), id="month-13"),
        pytest.param(checked("99000019000229001"), id="1900-had-no-29-february"),
        pytest.param("990000490101001", id="15-digits-of-before-1999"),
        pytest.param("9900001949010100", id="cut-off"),
        pytest.param("99000019490101001XX", id="too-long"),
        pytest.param("9900001949010100100", id="19-digits"),
        pytest.param("990000-19490101-001X", id="with-hyphens"),
        pytest.param("9900O019490101001X", id="letter-o"),
    ],
)
def test_what_looks_like_a_national_number_must_be_one(number: str) -> None:
    error = refusal_of(card_number=number)

    assert error.code is Refusal.INVALID_CARD_NUMBER
    assert number[:8] not in str(error)
    assert normalise({"card_number": number, "document": "centre_card"}) == number


@pytest.mark.parametrize(
    ("fields", "person"),
    [
        ({"card_number": "SYN-1a0bb369"}, "SYN-1A0BB369"),
        ({"card_number": "12345678"}, "12345678"),
        ({"card_number": "6222020000000000000", "document": "centre_card"}, "6222020000000000000"),
        (
            {"card_number": "abc990101010000", "document": "permanent_residence_card"},
            "ABC990101010000",
        ),
        ({"card_number": VALID[0], "document": "permanent_residence_card"}, VALID[0]),
        (
            {"card_number": "e1234567", "document": "passport", "issuer": "UTO"},
            "passport:UTO:E1234567",
        ),
    ],
)
def test_other_documents_are_taken_by_name(fields: dict[str, object], person: str) -> None:
    assert normalise(fields) == person


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"document": "library_card"}, Refusal.UNKNOWN_DOCUMENT),
        ({"document": ["passport"]}, Refusal.UNKNOWN_DOCUMENT),
        ({"document": "passport"}, Refusal.INVALID_CARD_NUMBER),
        ({"document": "passport", "issuer": "Utopia"}, Refusal.INVALID_CARD_NUMBER),
        (
            {"document": "passport", "issuer": "UTO", "card_number": "12 34"},
            Refusal.INVALID_CARD_NUMBER,
        ),
        ({"issuer": "UTO"}, Refusal.INVALID_CARD_NUMBER),
        ({"card_number": "passport:UTO:E1234567"}, Refusal.INVALID_CARD_NUMBER),
        ({"document": "permanent_residence_card"}, Refusal.INVALID_CARD_NUMBER),
        ({"card_number": 990000}, Refusal.INVALID_CARD_NUMBER),
        ({"card_number": None}, Refusal.INVALID_CARD_NUMBER),
        ({"card_number": " "}, Refusal.INVALID_CARD_NUMBER),
        ({"card_number": "9" * 65}, Refusal.INVALID_CARD_NUMBER),
    ],
)
def test_what_is_no_document_of_ours_is_refused(fields: dict[str, object], code: Refusal) -> None:
    assert refusal_of(**{"card_number": "E1234567", **fields}).code is code


def test_a_place_that_nobody_knows_is_a_warning() -> None:
    assert has_unknown_place(VALID[0])
    assert not has_unknown_place("911000" + VALID[0][6:])  # A foreigner's, of Beijing.
    assert not has_unknown_place("SYN-1A0BB369")


@given(st.text(max_size=30), st.sampled_from(VALID), st.text(max_size=30))
def test_a_number_is_found_wherever_it_stands(before: str, number: str, after: str) -> None:
    shown = f"{before} {number} {after}"

    assert holds_national_number(shown)
    assert holds_national_number(shown.lower())


@given(st.integers(0, 10**18 - 1), st.text(alphabet="0123456789abcdef-", max_size=36))
def test_counters_and_hex_are_nobodys_number(counter: int, text: str) -> None:
    number = f"{counter:018d}"
    right = number == checked(number[:17]) if len(number) == 18 else False
    if not right:
        assert not holds_national_number(f'"device_sequence":{counter}')
    assert not holds_national_number(VALID[0][:-1] + "0" + text[:0])
