"""Packages come from the host's own mirror, checked with the host's own keys."""

from pathlib import Path

import pytest

from deploy.embedded.errors import UnsupportedHostError
from deploy.embedded.mirrors import (
    filter_settings,
    find_signed_by,
    read_codename,
    rewrite_targets,
    write_sources,
)

STANZAS = """\
# A mirror of ours

Types: deb
URIs: http://mirror.invalid/debian
# not this one
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/first.gpg

Types: deb
URIs: http://mirror.invalid/security
Suites: bookworm-security
Components: main
signed-by:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc
"""


def targets(*lines: str) -> str:
    return "\n".join(f"{line}|deb|/nowhere/debian.sources:1" for line in lines)


def test_only_the_suite_is_replaced() -> None:
    found = rewrite_targets(
        targets(
            "http://mirror.invalid/debian/|bookworm|main",
            "http://mirror.invalid/debian/|bookworm-updates|main",
            "ftp://other.invalid/debian-security/|bookworm-security|main",
        ),
        "bookworm",
    )

    assert [(each.address, each.suite) for each in found] == [
        ("http://mirror.invalid/debian/", "trixie"),
        ("http://mirror.invalid/debian/", "trixie-updates"),
        ("ftp://other.invalid/debian-security/", "trixie-security"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("http://node.invalid/|nodistro|main", id="third-party"),
        pytest.param("http://mirror.invalid/debian/|bookworm-backports|main", id="backports"),
        pytest.param("http://mirror.invalid/debian/|bullseye|main", id="another-release"),
    ],
)
def test_other_sources_are_not_asked(line: str) -> None:
    assert rewrite_targets(targets(line), "bookworm") == []


def test_an_index_listed_twice_is_asked_once() -> None:
    line = "http://mirror.invalid/debian/|bookworm|main"

    assert len(rewrite_targets(targets(line, line), "bookworm")) == 1


def test_the_key_of_the_very_entry_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "debian.sources"
    file.write_text(STANZAS)
    line = f"http://mirror.invalid/debian/|bookworm|main|deb|{file}:1"

    text = write_sources(rewrite_targets(line, "bookworm"))

    assert text == (
        "Types: deb\nURIs: http://mirror.invalid/debian/\nSuites: trixie\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/first.gpg\n"
    )


def test_a_key_written_into_the_entry_is_kept_whole() -> None:
    found = find_signed_by(STANZAS, 2, stanzas=True)

    assert found == "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param(
            "deb [signed-by=/k.gpg arch=amd64] http://m.invalid x main", " /k.gpg", id="one"
        ),
        pytest.param(
            "deb [ signed-by=/a.gpg,/b.gpg ] http://m.invalid x main", " /a.gpg /b.gpg", id="two"
        ),
        pytest.param("deb http://m.invalid x main", "", id="none"),
    ],
)
def test_the_key_of_a_one_line_entry_is_kept(line: str, expected: str) -> None:
    assert find_signed_by(f"# comment\n{line}\n", 2, stanzas=False) == expected


def test_hooks_of_the_host_are_left_out_and_proxies_stay() -> None:
    dump = (
        'Acquire::http::Proxy "http://proxy.invalid:3128";\n'
        'APT::Update::Post-Invoke:: "rm -f /var/cache/apt/archives/*.deb";\n'
        'DPkg::Pre-Install-Pkgs:: "/usr/sbin/dpkg-preconfigure";\n'
        'Dir::Etc::parts "apt.conf.d";\n'
        'Acquire::IndexTargets::deb::DEP-11::MetaKey "x";\n'
    )

    kept = filter_settings(dump)

    assert "proxy.invalid" in kept
    assert "Post-Invoke" not in kept
    assert "apt.conf.d" not in kept
    assert "DEP-11" not in kept
    assert 'Dir::Etc::parts "/dev/null";' in kept


def test_another_distribution_is_told_about_compose() -> None:
    with pytest.raises(UnsupportedHostError, match=r"docs/containers\.md"):
        read_codename('NAME="Fedora Linux"\nID=fedora\nPRETTY_NAME="Fedora Linux 43"\n')


def test_debians_codename_is_read() -> None:
    assert read_codename('ID=debian\nVERSION_CODENAME=bookworm\nVERSION_ID="12"\n') == "bookworm"
