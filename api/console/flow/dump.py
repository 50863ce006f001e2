"""Raw bytes for a person: as text, and as the usual table of offsets, hexadecimal digits and ASCII.

Bounded: of a long payload the beginning. The text is what the bytes say in UTF-8; what is none, and
what would steer a screen, is written out.
"""

from dataclasses import dataclass
from typing import Final

SHOWN_BYTES_MAX: Final = 8_192
_PER_LINE: Final = 16


@dataclass(frozen=True, slots=True)
class Dump:
    """What is shown of a payload."""

    text: str
    lines: str
    shown: int
    kept: int


def dump(payload: bytes) -> Dump:
    r"""Show the beginning of a payload.

    >>> dump(b"A\n").lines
    '00000000  41 0a                                            A.'
    """
    head = payload[:SHOWN_BYTES_MAX]
    text = head.decode("utf-8", errors="backslashreplace")
    printable = "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
    lines = [
        f"{at:08x}  {_digits(head[at : at + _PER_LINE])}  {_ascii(head[at : at + _PER_LINE])}"
        for at in range(0, len(head), _PER_LINE)
    ]
    return Dump(printable, "\n".join(lines), len(head), len(payload))


def _digits(line: bytes) -> str:
    return line.hex(" ").ljust(3 * _PER_LINE - 1)


def _ascii(line: bytes) -> str:
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in line)  # noqa: PLR2004 - ASCII
