"""The same card is the same pseudonym on every gateway and for ever; the key stays private."""

from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.identity import load_key, pseudonym

KEY = bytes(range(32))
CARD = "99000019490101001X"


def test_the_pseudonym_never_changes() -> None:
    assert pseudonym(KEY, CARD) == "r-0b6af1a2e0f37d17bdd97c02df03fc61"


@pytest.mark.parametrize(
    "written",
    [" 99000019490101001X\t", "99000019490101001x", "９９００００１９４９０１０１００１Ｘ"],
    ids=["blanks", "lower-case", "full-width"],
)
def test_how_a_number_is_written_makes_no_difference(written: str) -> None:
    assert pseudonym(KEY, written) == pseudonym(KEY, CARD)


def test_another_card_or_key_is_another_pseudonym() -> None:
    assert pseudonym(KEY, "990000194901010028") != pseudonym(KEY, CARD)
    assert pseudonym(KEY[::-1], CARD) != pseudonym(KEY, CARD)


def test_a_key_may_end_in_a_line_end(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(KEY + b"\n")
    path.chmod(0o600)

    assert load_key(path) == KEY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666], ids=oct)
def test_a_key_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key"
    path.write_bytes(KEY)
    path.chmod(mode)

    with pytest.raises(SettingsError, match="chmod 600"):
        load_key(path)


@pytest.mark.parametrize("key", [b"", b"k" * 31, b"k" * 31 + b"\n"], ids=len)
def test_a_short_key_is_refused(tmp_path: Path, key: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(key)
    path.chmod(0o600)

    with pytest.raises(SettingsError, match="needed are 32"):
        load_key(path)


def test_an_absent_key_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="Name a readable key file"):
        load_key(tmp_path / "absent")
