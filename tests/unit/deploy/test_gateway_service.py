"""The unit file keeps what the gateway relies on, and forbids what docs/gateway.md says it does.

Read here by the rules of systemd.syntax(7), and by systemd's own checker where it is installed.
"""

import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy" / "gateway" / "suifang-gateway.service"
EXPOSURE_MAX = 2.0  # Of 10, as `systemd-analyze security` counts; "OK" is below 5.


def directives() -> dict[str, list[str]]:
    """Every directive with its values in order, sections aside: no name stands in two."""
    found = defaultdict(list)
    for line in UNIT.read_text("utf-8").splitlines():
        if line and line[0] not in "#;[":
            name, _, value = line.partition("=")
            found[name].append(value)
    return found


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Type", "notify"),
        ("NotifyAccess", "main"),
        ("Restart", "always"),
        ("StartLimitIntervalSec", "0"),  # Power cuts come in rows; it never gives up.
        ("RestartPreventExitStatus", "2"),
        ("LimitCORE", "0"),
        ("MemorySwapMax", "0"),
        ("UMask", "0077"),
        ("StateDirectory", "suifang"),
        ("StateDirectoryMode", "0700"),
        ("User", "suifang"),
    ],
)
def test_the_unit_keeps_the_gateway_s_promises(name: str, value: str) -> None:
    assert directives()[name] == [value]


def test_the_manager_waits_longer_than_the_gateway_needs_to_say_that_it_is_alive() -> None:
    assert directives()["WatchdogSec"] == ["60"]
    assert int(directives()["TimeoutStopSec"][0]) >= 3 * 5  # Each step of stopping: stop_s_max.


def test_neither_the_network_nor_the_time_is_waited_for() -> None:
    text = " ".join(str(directives()[name]) for name in ("After", "Wants", "Requires"))

    assert "network" not in text
    assert "time" not in text


def test_what_it_may_not_do_is_what_the_documentation_says() -> None:
    text = (ROOT / "docs" / "gateway.md").read_text("utf-8").partition("### Hardening")[2]
    documented = dict(re.findall(r"(?m)^\| `(\w+)=([^`]*)` \|", text))
    told = {name: " ".join(values) for name, values in directives().items()}

    assert documented
    assert {name: told.get(name) for name in documented} == documented
    after = UNIT.read_text("utf-8").partition("# What it may not do")[2].partition("[Install]")[0]
    assert set(re.findall(r"(?m)^(\w+)=", after)) <= documented.keys()


def test_the_kernel_may_be_asked_for_the_state_of_its_clock() -> None:
    filters = directives()["SystemCallFilter"]

    assert filters[0] == "@system-service"
    assert {"adjtimex", "clock_adjtime"} <= set(filters[-1].split())
    assert "ProtectClock" not in directives()


def test_systemd_itself_finds_nothing_wrong_where_it_is_installed(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        return  # The tests above hold everywhere; this is a second reader.
    unit = tmp_path / UNIT.name
    text = UNIT.read_text("utf-8").replace("/opt/suifang/bin/suifang", "/bin/true")
    unit.write_text(re.sub(r"(?m)^(User|Group)=.*$", r"\1=root", text), "utf-8")

    verified = subprocess.run(
        [analyze, "verify", unit], capture_output=True, text=True, check=False, timeout=60
    )
    wrong = [line for line in verified.stderr.splitlines() if UNIT.name in line]
    assert wrong == []
    weighed = subprocess.run(
        [analyze, "security", "--offline=true", UNIT],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    exposure = re.search(r"exposure level.*: ([\d.]+)", weighed.stdout)
    assert exposure is None or float(exposure[1]) <= EXPOSURE_MAX
