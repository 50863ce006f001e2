"""The promise: every key of a TOML text is found at the place where it is first named."""

import doctest
import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.profiles import positions
from rules.profiles.positions import Position, dotted, locate_keys, numbered
from tests.unit.rules.rules_profile_text import HEARTS, NORM, WUZHOU

EVERYTHING = r'''# [comment] a = 1
a = 1979-05-27 07:32:00 # after = 2
b.c = """x
[no] = 3 \""" ] = """""
"q.r" = {x = [1, {y=2}], 'z z' = '}#'}

[ t . "ü\u0041" ]
k = [ # ]
 -1.5e3,
  { m = @@@
@@@ }, # k = 2
]
"" = "\\\"#"
[[rows.of]]
k = true
  [rows.of.inner]
  k=''
[[rows.of]]
k.l = """"""
[[rows.of.more]]
"k" = []
'''.replace("@@@", "'''")


def keys_of(value: object, key: str = "") -> Iterator[str]:
    """Every key of parsed TOML."""
    yield key
    if isinstance(value, dict):
        for name, part in value.items():
            yield from keys_of(part, dotted(key, name))
    elif isinstance(value, list):
        for row, part in enumerate(value):
            yield from keys_of(part, numbered(key, row))


def test_every_kind_of_key_is_found_where_it_stands() -> None:
    found = locate_keys(EVERYTHING)

    assert {key: (at.line, at.column) for key, at in found.items()} == {
        "": (1, 1),
        "a": (2, 1),
        "b": (3, 1),
        "b.c": (3, 3),
        '"q.r"': (5, 1),
        '"q.r".x': (5, 10),
        '"q.r".x[0]': (5, 15),
        '"q.r".x[1]': (5, 18),
        '"q.r".x[1].y': (5, 19),
        '"q.r"."z z"': (5, 26),
        "t": (7, 3),
        't."üA"': (7, 7),
        't."üA".k': (8, 1),
        't."üA".k[0]': (9, 2),
        't."üA".k[1]': (10, 3),
        't."üA".k[1].m': (10, 5),
        't."üA".""': (13, 1),
        "rows": (14, 3),
        "rows.of": (14, 8),
        "rows.of[0]": (14, 8),
        "rows.of[0].k": (15, 1),
        "rows.of[0].inner": (16, 12),
        "rows.of[0].inner.k": (17, 3),
        "rows.of[1]": (18, 8),
        "rows.of[1].k": (19, 1),
        "rows.of[1].k.l": (19, 3),
        "rows.of[1].more": (20, 11),
        "rows.of[1].more[0]": (20, 11),
        "rows.of[1].more[0].k": (21, 1),
    }
    assert set(found) == set(keys_of(tomllib.loads(EVERYTHING)))


@pytest.mark.parametrize("text", [WUZHOU, NORM, HEARTS])
def test_a_shipped_profile_has_each_key_at_the_line_that_names_it(text: str) -> None:
    found = locate_keys(text)
    lines = text.split("\n")

    assert set(found) == set(keys_of(tomllib.loads(text)))
    for key, place in found.items():
        name = key.rpartition(".")[2].partition("[")[0]
        if not key.endswith("]") or "tier" in name:
            assert lines[place.line - 1][place.column - 1 :].startswith(name)


def test_lines_may_end_as_on_windows() -> None:
    assert locate_keys(EVERYTHING.replace("\n", "\r\n")) == locate_keys(EVERYTHING)


def test_an_empty_text_has_its_root() -> None:
    assert locate_keys("") == {"": Position(line=1, column=1)}


NAMES = st.sampled_from(["a", "b-1", '"c.d"', "'e'", '"\\u0066"', "1"])
VALUES = st.recursive(
    st.sampled_from(
        ["1", "-2.5", "true", "2020-01-01 01:02:03", '"#]"', "'}'", '"""\n"x" = 1\n"""', "'''\n'''"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[\n" + ", # ]\n".join(items) + "\n]")
        | st.dictionaries(NAMES, inner.filter(lambda v: "\n" not in v), max_size=2).map(
            lambda items: "{" + ", ".join(f"{k} = {v}" for k, v in items.items()) + "}"
        )
    ),
    max_leaves=4,
)
STATEMENTS = st.one_of(
    st.builds("{} = {}".format, NAMES, VALUES),
    st.builds("{} . {} = {} # x = [".format, NAMES, NAMES, VALUES),
    st.builds("[{}]".format, NAMES),
    st.builds("[ {}.{} ] # y".format, NAMES, NAMES),
    st.builds("[[{}]]".format, NAMES),
    st.builds("  [[{}.{}]]".format, NAMES, NAMES),
    st.just(""),
)


@settings(deadline=None)
@given(st.lists(STATEMENTS, max_size=12))
def test_the_keys_found_are_those_that_tomllib_reads(statements: list[str]) -> None:
    text = ""
    for statement in statements:
        try:
            tomllib.loads(f"{text}{statement}\n")
        except tomllib.TOMLDecodeError:
            continue
        text += f"{statement}\n"

    found = locate_keys(text)

    assert set(found) == set(keys_of(tomllib.loads(text)))
    offsets = [0]
    for line in text.split("\n"):
        offsets.append(offsets[-1] + len(line) + 1)
    for place in found.values():
        assert offsets[place.line - 1] + place.column <= offsets[place.line]


def test_examples_in_the_documentation_hold() -> None:
    assert doctest.testmod(positions).failed == 0
