"""Promise: the dashboards are what the one source says, as Grafana loads them, on our metrics."""

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError

from deploy.monitoring import catalogue, dashboards, panels

FILES = dashboards.render()
SCHEMA = json.loads((dashboards.FOLDER / "dashboard.schema.json").read_text("utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
EXPRESSIONS = [
    expression
    for dashboard in panels.DASHBOARDS
    for panel in dashboard.panels
    for expression, _ in panel.queries
]


def test_the_files_are_what_the_source_writes_and_no_others_are_there() -> None:
    there = set(dashboards.FOLDER.glob("*.json")) - {dashboards.FOLDER / "dashboard.schema.json"}
    assert there == FILES.keys(), "run `make dashboards`"
    for path, text in FILES.items():
        assert path.read_text("utf-8") == text, "run `make dashboards`"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_keeps_the_schema_and_its_panels_do_not_overlap(path: Path) -> None:
    found = json.loads(FILES[path])
    VALIDATOR.validate(found)
    assert found["uid"] == path.stem
    taken = [
        (x, y)
        for panel in found["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in found["panels"]}) == len(found["panels"])


def test_the_schema_refuses_what_grafana_would_not_show() -> None:
    cases: list[dict[str, object]] = [
        {"panels": []},
        {"schemaVersion": "36"},
        {"uid": "a b"},
        {"rows": []},
    ]
    for broken in cases:
        found = json.loads(next(iter(FILES.values())))
        with pytest.raises(ValidationError):
            VALIDATOR.validate({**found, **broken})


def test_every_metric_of_ours_is_on_a_dashboard_and_nothing_else_is_asked_for() -> None:
    exposed = {
        metric.name
        for process in catalogue.list_processes()
        if process.name != "gateway"  # Not scraped where the dashboards are.
        for metric in process.metrics
    } | {"suifang_build_info"}
    asked = {
        re.sub(r"_(bucket|count|sum)$", "", name)
        for expression in EXPRESSIONS
        for name in re.findall(r"suifang_\w+", expression)
    }
    assert asked == exposed
