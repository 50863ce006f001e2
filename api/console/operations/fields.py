"""A field of an operator's form that cannot be used: which one, and the word that says why."""

from typing import Final

_TEXT_MAX: Final = 200  # As `suifang pki revoke`.


class FieldError(Exception):
    """The page is shown again with the word beside the field.

    Attributes:
        field: Name of the field.
        word: In the group ``field`` of the words.
    """

    def __init__(self, *, field: str, word: str) -> None:
        self.field = field
        self.word = word
        super().__init__(f"{field}: {word}")


def check_reason(text: str, *, field: str = "because") -> str:
    """A sentence of a person, in single blanks. Raises ``FieldError``."""
    words = " ".join(text.split())
    if not 0 < len(words) <= _TEXT_MAX or not words.isprintable():
        raise FieldError(field=field, word="because_needed")
    return words
