"""Promise: every alert is right by its own test, and leads to a page that says what to do."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring import catalogue
from tests.fix_prometheus import ROOT, SHIPPED, find_program, shorten

RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((SHIPPED / "alerts.yml").read_text("utf-8"))["groups"]
    for rule in group["rules"]
]
TESTS = yaml.safe_load((SHIPPED / "alerts_test.yml").read_text("utf-8"))["tests"]
NAMES = [rule["alert"] for rule in RULES]


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        [find_program("promtool"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=SHIPPED,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_promtool_takes_the_configuration_and_the_rules_keep_their_tests() -> None:
    promtool("check", "config", "prometheus.yml")
    promtool("test", "rules", "alerts_test.yml")


def test_a_rule_that_was_spoilt_does_not_keep_its_test(tmp_path: Path) -> None:
    spoilt = (SHIPPED / "alerts.yml").read_text("utf-8").replace("untold_alerts) > 0", "x) > 0")
    (tmp_path / "alerts.yml").write_text(spoilt, "utf-8")
    (tmp_path / "alerts_test.yml").write_bytes((SHIPPED / "alerts_test.yml").read_bytes())
    with pytest.raises(AssertionError, match="SuifangNobodyTold"):
        promtool("test", "rules", tmp_path / "alerts_test.yml")


def test_every_alert_is_tested_to_fire_to_keep_still_and_when_all_is_well() -> None:
    fires, still = set(), set()
    for test in TESTS:
        for case in test["alert_rule_test"]:
            if case["exp_alerts"]:
                fires.add(case["alertname"])
            else:
                still.add((test["name"], case["alertname"]))
    assert fires == set(NAMES)
    assert still >= {(name, name) for name in NAMES}
    assert still >= {("all is well", name) for name in NAMES}


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_leads_to_a_page_that_says_all_one_needs(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert rule["for"]
    page = (ROOT / rule["annotations"]["runbook_url"]).read_text("utf-8")
    alert = page[page.index("**Alert.**") : page.index("**You see.**")]
    assert f"`{rule['alert']}`" in alert
    for word in ("**You see.**", "**People see.**", "**It means.**", "**Do.**", "**Over**"):
        assert word in page, word


def test_a_page_names_no_alert_that_is_not_there() -> None:
    for page in (ROOT / "docs").rglob("*.md"):
        named = set(re.findall(r"`(Suifang[A-Z]\w+)`", page.read_text("utf-8")))
        assert named <= set(NAMES), page


def test_rules_ask_for_metrics_that_are_exposed() -> None:
    exposed = {metric.name for each in catalogue.list_processes() for metric in each.metrics}
    asked = {
        re.sub(r"_(bucket|count|sum)$", "", name)
        for rule in RULES
        for name in re.findall(r"suifang_\w+", rule["expr"])
    }
    assert asked <= exposed
    assert len(asked) > 15


def test_shortening_divides_durations_and_touches_nothing_else() -> None:
    rules = "expr: rate(x[10m]) > 300\nfor: 15m\nfor: 30s\nsummary: 5m"
    assert shorten(rules, 60) == "expr: rate(x[10s]) > 300\nfor: 15s\nfor: 1s\nsummary: 5m"
