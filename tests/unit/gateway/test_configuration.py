"""A file and the environment give the same settings; what is wrong is told at once, by line."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

import pytest

from gateway.configuration import Reader, Tables
from gateway.errors import ConfigurationError, Problem, SettingsError
from gateway.settings import TABLES, GatewaySettings, settings_from

GOOD = """\
[gateway]
id = "g1"
centre = "c1"
[broker]
host = "localhost"
[spool]
file = "spool.db"
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "gateway.toml"
    file.touch(0o600)
    file.write_text(text, "utf-8")
    return file


def problems_of(
    folder: Path, text: str, environment: Mapping[str, str] | None = None
) -> list[tuple[int, str, str]]:
    """Line (0: the environment), name and detail of everything that is wrong."""
    with pytest.raises(ConfigurationError) as caught:
        settings_from(environment or {}, write(folder, text))
    return [
        (int(p.where.rpartition(":")[2]) if ":" in p.where else 0, p.name, p.detail)
        for p in caught.value.problems
    ]


def test_the_file_alone_is_enough_and_its_paths_count_from_its_folder(tmp_path: Path) -> None:
    settings = settings_from({}, write(tmp_path, GOOD))

    assert settings == GatewaySettings(
        id="g1", centre="c1", broker_host="localhost", spool=tmp_path / "spool.db"
    )


def test_the_file_may_be_named_by_a_variable_and_variables_win(tmp_path: Path) -> None:
    file = write(tmp_path, GOOD)

    settings = settings_from({"GATEWAY_CONFIG": str(file), "GATEWAY_BROKER_HOST": "127.0.0.1"})

    assert (settings.id, settings.broker_host) == ("g1", "127.0.0.1")


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = """\
[gateway]
id = "Not A Name"

[broker]
hots = "localhost"
keepalive_s = 0
linger_ms = "soon"
resend_s_min = 100
resend_s_max = 99
[spool]
file = 5
[terminal]
x = 1
[[devices]]
name = "nameless"
[[devices]]
id = "cuff-1"
calibrated_on = 2026-03-02
[[devices]]
id = "cuff-2"
calibrated_on = "2026-03-02"
colour = "grey"
"""
    found = problems_of(tmp_path, text, {"GATEWAY_LISTEN_PORT": "x"})

    assert [(line, name) for line, name, _ in found] == [
        (1, "gateway.centre"),
        (2, "gateway.id"),
        (4, "broker.host"),
        (5, "broker.hots"),
        (6, "broker.keepalive_s"),
        (7, "broker.linger_ms"),
        (9, "broker.resend_s_max"),
        (11, "spool.file"),
        (12, "terminal"),
        (14, "devices.0.id"),
        (18, "devices.1.calibrated_on"),
        (21, "devices.2.calibrated_on"),
        (22, "devices.2.colour"),
        (0, "GATEWAY_LISTEN_PORT"),
    ]
    details = {name: detail for _, name, detail in found}
    assert details["broker.hots"].endswith("did you mean host?")
    assert details["terminal"].endswith("did you mean terminals?")
    assert details["broker.keepalive_s"] == "0 is outside 1 to 65535"
    assert details["devices.2.calibrated_on"].startswith("must be a day")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("keepalive_s = 1.5", "broker.keepalive_s"),
        ("keepalive_s = true", "broker.keepalive_s"),
        ('keepalive_s = "30"', "broker.keepalive_s"),
        ("keepalive_s = [30]", "broker.keepalive_s"),
        ("keepalive_s = 99999999999999999999", "broker.keepalive_s"),
        ("host = ''", "broker.host"),
        ("host = 5", "broker.host"),
        ("host = { name = 'x' }", "broker.host"),
        ("port = -1", "broker.port"),
        ("port = 65536", "broker.port"),
    ],
)
def test_a_value_of_the_wrong_kind_is_never_bent_into_shape(
    tmp_path: Path, line: str, name: str
) -> None:
    text = GOOD.replace(
        'host = "localhost"\n', ("" if "host" in line else 'host = "::1"\n') + line + "\n"
    )

    found = problems_of(tmp_path, text)

    assert [(n, wrong) for n, wrong, _ in found] == [(5 + ("host" not in line), name)]


def test_what_is_no_table_or_no_toml_is_told_with_its_line(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "spool = 'x'\n" + GOOD.replace("[spool]\nfile", "#"))[0][:2] == (
        1,
        "spool",
    )
    assert problems_of(tmp_path, GOOD + "[broker]\n")[0][:2] == (8, "file")
    assert problems_of(tmp_path, GOOD + "devices = 1\n")[0][:2] == (8, "spool.devices")
    assert problems_of(tmp_path, "devices = 1\n" + GOOD)[0][:2] == (1, "devices")


def test_a_file_that_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent\.toml: file: cannot be read"):
        settings_from({}, tmp_path / "absent.toml")


def test_a_device_described_twice_is_refused_at_the_second(tmp_path: Path) -> None:
    twice = GOOD + '[[devices]]\nid = "a"\n[[devices]]\nid = "b"\n[[devices]]\nid = "a"\n'

    assert [found[:2] for found in problems_of(tmp_path, twice)] == [(13, "devices.2.id")]


def test_a_secret_is_never_quoted_and_an_open_file_may_not_hold_one(tmp_path: Path) -> None:
    text = GOOD.replace('host = "localhost"', 'host = "::1"\npassword = "s3cret"')
    assert settings_from({}, write(tmp_path, text)).broker_password == "s3cret"

    (tmp_path / "gateway.toml").chmod(0o640)
    ((line, name, detail),) = problems_of(tmp_path, text)
    assert (line, name) == (6, "broker.password")
    assert "chmod 600" in detail

    (tmp_path / "gateway.toml").chmod(0o600)
    for wrong in (text.replace('"s3cret"', "31337"), text.replace('"s3cret"', '["s3cret"]')):
        ((_, _, detail),) = problems_of(tmp_path, wrong)
        assert "31337" not in detail
        assert "s3cret" not in detail


def test_a_secret_may_stand_in_a_file_beside_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("from a file\n")
    text = GOOD.replace('host = "localhost"', 'host = "::1"\npassword_file = "password"')

    assert settings_from({}, write(tmp_path, text)).broker_password == "from a file"
    ((line, name, _),) = problems_of(tmp_path, text, {"GATEWAY_BROKER_PASSWORD": "x"})
    assert (line, name) == (6, "broker.password_file")


def test_the_tables_name_only_fields_that_exist() -> None:
    known = {f.name for f in dataclasses.fields(GatewaySettings)}

    assert {name for names in TABLES.fields.values() for name in names} <= known
    assert set(TABLES.keys) <= known


# A dataclass that is not ours: the reader knows dataclasses, not the gateway's.


class Colour(StrEnum):
    """Of a thing."""

    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Inside a thing."""

    size: Decimal
    file: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """With every kind of field."""

    name: str
    colour: Colour = Colour.RED
    side: Literal["left", "right"] = "left"
    words: tuple[str, ...] = ()
    made_on: date | None = None
    parts: tuple[Part, ...] = ()
    main: Part | None = None

    def __post_init__(self) -> None:
        if self.name == "bad":
            msg = "name must not be bad"
            raise SettingsError(msg)
        if self.name == "worse":
            raise ConfigurationError([Problem("parts.0.size", "must not be so")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """The whole."""

    ratio: Decimal = Decimal(1)
    tags: tuple[str, ...] = ()
    colour: Colour = Colour.RED
    day: date | None = None
    things: tuple[Thing, ...] = ()
    thing: Thing = field(default_factory=lambda: Thing(name="usual"))


def others(folder: Path, text: str, environment: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 - Others
    reader = Reader(Others, Tables({"top": ()}), prefix="OTHER_", environment=environment or {})
    return reader.read(write(folder, text))


def test_any_dataclass_is_read_tables_within_tables_and_all(tmp_path: Path) -> None:
    text = """
[top]
ratio = 0.1
tags = ["a", "b"]
colour = "blue"
[thing]
name = "one"
main = { size = 3 }
[[things]]
name = "two"
side = "right"
made_on = 2026-03-02
[[things.parts]]
size = 1.50
file = "part"
[[things.parts]]
size = 2
"""
    assert others(tmp_path, text) == Others(
        ratio=Decimal("0.1"),
        tags=("a", "b"),
        colour=Colour.BLUE,
        thing=Thing(name="one", main=Part(size=Decimal(3))),
        things=(
            Thing(
                name="two",
                side="right",
                made_on=date(2026, 3, 2),
                parts=(Part(size=Decimal("1.50"), file=tmp_path / "part"), Part(size=Decimal(2))),
            ),
        ),
    )
    given = {"OTHER_TAGS": "x, y", "OTHER_RATIO": "0.25", "OTHER_DAY": "2026-03-02"}
    found = others(tmp_path, text, given)
    assert (found.tags, found.ratio, found.day) == (("x", "y"), Decimal("0.25"), date(2026, 3, 2))


@pytest.mark.parametrize(
    ("text", "line", "name"),
    [
        ('[top]\ncolour = "green"\n', 2, "top.colour"),
        ("[top]\nratio = nan\n", 2, "top.ratio"),
        ('[top]\ntags = "a"\n', 2, "top.tags"),
        ("[top]\nday = 2026-03-02T00:00:00\n", 2, "top.day"),
        ("thing = 1\n", 1, "thing"),
        ("[[thing]]\nname = 'x'\n", 1, "thing"),
        ('[thing]\n\nname = "bad"\n', 3, "thing.name"),
        ('[[things]]\nname = "x"\n[[things.parts]]\n', 3, "things.0.parts.0.size"),
        ('[[things]]\nname = "worse"\n[[things.parts]]\nsize = 1\n', 4, "things.0.parts.0.size"),
        ('[[things]]\nname = "x"\nside = "up"\n', 3, "things.0.side"),
        ('[[things]]\nname = "x"\nparts = 1\n', 3, "things.0.parts"),
    ],
)
def test_a_fault_deep_inside_is_told_on_its_own_line(
    tmp_path: Path, text: str, line: int, name: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        others(tmp_path, text)

    ((where, wrong),) = [(p.where, p.name) for p in caught.value.problems]
    assert (int(where.rpartition(":")[2]), wrong) == (line, name)


@pytest.mark.parametrize(
    "given",
    [{"OTHER_RATIO": "x"}, {"OTHER_RATIO": "inf"}, {"OTHER_COLOUR": "green"}, {"OTHER_DAY": "1"}],
    ids=str,
)
def test_a_variable_that_does_not_fit_is_named(tmp_path: Path, given: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(given))):
        others(tmp_path, "", given)
