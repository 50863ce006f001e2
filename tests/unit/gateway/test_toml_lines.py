"""Every key is found on its own line, whatever stands around it.

The oracle writes documents key by key and remembers the line of each; it shares nothing with
the reader.
"""

import tomllib
from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.toml_lines import BYTES_MAX, LINES_MAX, Document, TomlError, decode

CROOKED = '''# A comment with [a.table] and key = 1 in it

title = "not # a comment"   # but this is
text = """
[not.a.table]
not_a_key = 1
a "quoted" end\\"""" # after it
words = [
    "one", # [two]
    """
    three = 3
    """,
    { inline = 1 },
]

[broker] # of ours
"quoted key" = 1
tls.file = 'C:\\path'
tls . mode = 600
inline = { a = 1, b.c = 2 }

[[devices]]
id = "a"
[devices.calibration]
on = 2026-03-02
[[devices]]

id = "b"
[[devices.parts]]
n = 1
[[devices.parts]]
n = 2
[broker.deep."er er"]
x = 1.50
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("title",), 3),
        (("text",), 4),
        (("words",), 8),
        (("broker",), 16),
        (("broker", "quoted key"), 17),
        (("broker", "tls", "file"), 18),
        (("broker", "tls", "mode"), 19),
        (("broker", "inline", "b", "c"), 20),
        (("devices",), 22),
        (("devices", 0, "id"), 23),
        (("devices", 0, "calibration"), 24),
        (("devices", 0, "calibration", "on"), 25),
        (("devices", 1), 26),
        (("devices", 1, "id"), 28),
        (("devices", 1, "parts", 0, "n"), 30),
        (("devices", 1, "parts", 1), 31),
        (("devices", 1, "parts", 1, "n"), 32),
        (("broker", "deep", "er er", "x"), 34),
    ],
)
def test_a_key_is_found_among_everything_that_toml_allows(
    path: tuple[str | int, ...], line: int
) -> None:
    assert Document(CROOKED).line_of(path) == line
    assert Document(CROOKED.replace("\n", "\r\n")).line_of(path) == line


def test_what_has_no_line_gets_the_nearest_one_around_it() -> None:
    document = Document(CROOKED)

    assert document.line_of(("broker", "absent")) == 16
    assert document.line_of(("devices", 1, "absent")) == 26
    assert document.line_of(("words", 1, "x")) == 8
    assert document.line_of(("absent",)) == 1


def test_a_number_with_a_point_stays_exact() -> None:
    assert Document(CROOKED).values["broker"]["deep"]["er er"]["x"] == Decimal("1.50")


_KEYS = st.text("abc_-", min_size=1, max_size=3)
_VALUES = st.sampled_from(
    ["1", "true", '"x # y"', '"""a\n[b]\nc = 1"""', "[1,\n 2, # c\n]", "{ z = 1 }", "'''\n'''"]
)
_NOISE = st.sampled_from(["", "# key = 1\n", "\n\n", "  # [table]\n", "\t\n"])


@st.composite
def _documents(draw: st.DrawFn) -> tuple[str, dict[tuple[str | int, ...], int]]:
    text = ""
    lines: dict[tuple[str | int, ...], int] = {}
    names = draw(st.lists(_KEYS, unique=True, max_size=4))
    for name in [None, *names]:
        array = name is not None and draw(st.booleans())
        for number in range(draw(st.integers(1, 3)) if array else 1):
            text += draw(_NOISE)
            path: tuple[str | int, ...] = ()
            if name is not None:
                path = (name, number) if array else (name,)
                lines[path] = text.count("\n") + 1
                text += f"[[{name}]]\n" if array else f" [ {name} ] # {name}\n"
            # In front of all tables a key must not be the name of one.
            keys = draw(st.lists(_KEYS, unique=True, max_size=3))
            for key in [k for k in keys if name is not None or k not in names]:
                text += draw(_NOISE)
                lines[*path, key] = text.count("\n") + 1
                text += f"{key} = {draw(_VALUES)}{draw(st.sampled_from(['', ' # end']))}\n"
    return text, lines


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_documents())
def test_lines_are_those_at_which_the_oracle_wrote(
    written: tuple[str, dict[tuple[str | int, ...], int]],
) -> None:
    text, lines = written

    document = Document(text)

    assert {path: document.line_of(path) for path in lines} == lines
    assert document.values == tomllib.loads(text)


@settings(deadline=None)
@given(st.text("[]\"'=.#\n a1{},\\", max_size=60))
def test_any_text_is_read_or_refused_with_a_line_of_its_own(text: str) -> None:
    try:
        document = Document(text)
        lines = [document.line_of(path) for path in _paths(document.values, ())]
    except TomlError as error:
        lines = [error.line]

    assert all(1 <= line <= text.count("\n") + 1 for line in lines)


def _paths(value: object, path: tuple[str | int, ...]) -> Iterator[tuple[str | int, ...]]:
    yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _paths(inner, (*path, name))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a = 1\nb = \n", 2),
        ("a = 1\na = 2\n", 2),
        ("[t]\nx = 1\n[t]\n", 3),
        ('a = 1\nb = """\nnever closed\n', 4),
        ("a = 1\nb = [1,\n2\nc = 3\n", 4),
    ],
)
def test_broken_toml_is_told_with_its_line(text: str, line: int) -> None:
    with pytest.raises(TomlError) as caught:
        Document(text)
    assert abs(caught.value.line - line) <= 1  # Where the parser stumbles, within a line.


def test_what_is_no_text_or_far_too_long_is_refused() -> None:
    with pytest.raises(TomlError) as caught:
        decode(b"a = 1\nb = '\xff'\n")
    assert caught.value.line == 2
    with pytest.raises(TomlError):
        decode(b"#" * (BYTES_MAX + 1))
    with pytest.raises(TomlError):
        Document("\n" * LINES_MAX)
