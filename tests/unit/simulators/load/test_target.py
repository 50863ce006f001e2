"""A file of gateways is read whole, or refused with line and remedy; room is made for all."""

import resource
from pathlib import Path

import pytest

from simulators.errors import LoadError
from simulators.load.target import read_gateways, require_descriptors
from simulators.sites import Site


def _file(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "gateways.csv"
    path.write_text(text, "utf-8")
    path.chmod(mode)
    return path


def test_gateways_come_with_centre_and_password(tmp_path: Path) -> None:
    path = _file(tmp_path, "gateway,centre,password\ngw-1,c-1,one\ngw-2,c-1,two\n")
    found = read_gateways(path, host="127.0.0.1", authority=None)
    assert [site for site, _ in found] == [Site("c-1", "gw-1"), Site("c-1", "gw-2")]
    assert [(login.user, login.password) for _, login in found] == [
        ("gw-1", "one"),
        ("gw-2", "two"),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("gateway,centre,password\nGW 1,c-1,x\n", r"line 2: gateway 'GW 1' is no name; use"),
        ("gateway,centre,password\ngw-1,,x\n", r"line 2: centre '' is no name"),
        ("gateway,centre,password\ngw-1,c,x\ngw-1,c,x\n", r"line 3: gateway 'gw-1' is there twice"),
        ("gateway,centre,password\ngw-1,c-1,\n", r"line 2: neither password nor certificate"),
        ("gateway,centre,password\n", r"names no gateway; its header is"),
        ("", r"names no gateway; its header is"),
    ],
    ids=["name", "centre", "twice", "no secret", "no row", "empty"],
)
def test_a_bad_line_is_named(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(LoadError, match=problem):
        read_gateways(_file(tmp_path, text), host="127.0.0.1", authority=None)


def test_secrets_that_others_read_are_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, "gateway,centre,password\ngw-1,c-1,x\n", mode=0o644)
    with pytest.raises(LoadError, match="chmod 600"):
        read_gateways(path, host="127.0.0.1", authority=None)


def test_no_password_goes_over_the_network_in_clear_text(tmp_path: Path) -> None:
    path = _file(tmp_path, "gateway,centre,password\ngw-1,c-1,x\n")
    with pytest.raises(LoadError, match="give --ca"):
        read_gateways(path, host="broker.example", authority=None)


def test_too_few_descriptors_are_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed: list[tuple[int, int]] = [(256, 1_000)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: allowed[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: allowed.append(limits))
    require_descriptors(500)
    assert allowed[-1] == (600, 1_000)
    with pytest.raises(LoadError, match="LimitNOFILE"):
        require_descriptors(950)
