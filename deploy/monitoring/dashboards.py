"""The dashboards, as Grafana's classic JSON: writes ``deploy/grafana/*.json`` from ``panels``.

``make dashboards``; a test fails when a file is not what this writes, does not keep the schema
beside it, or asks Prometheus for what it does not answer. A panel is a title, a unit and queries;
everything else is the same for all.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from deploy.monitoring.panels import DASHBOARDS, Dashboard, Panel

FOLDER: Final = Path(__file__).parents[1] / "grafana"
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH, _HEIGHT, _COLUMNS = 8, 8, 24
_SCHEMA_VERSION: Final = 36  # Grafana 9.1; later ones migrate it when they load it.


def build(dashboard: Dashboard) -> dict[str, Any]:
    """One dashboard in Grafana's classic model."""
    variable = {
        "name": "datasource",
        "type": "datasource",
        "label": "Prometheus",
        "query": "prometheus",
        "refresh": 1,
    }
    return {
        "id": None,
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["suifang"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": _SCHEMA_VERSION,
        "version": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "annotations": {"list": []},
        "templating": {"list": [variable]},
        "links": [
            {"type": "dashboards", "title": "Suifang", "tags": ["suifang"], "asDropdown": True}
        ],
        "panels": list(_build_panels(dashboard.panels)),
    }


def _build_panels(panels: tuple[Panel, ...]) -> Iterator[dict[str, Any]]:
    across = _COLUMNS // _WIDTH
    for place, panel in enumerate(panels):
        yield {
            "id": place + 1,
            "type": panel.kind,
            "title": panel.title,
            "description": panel.help,
            "datasource": SOURCE,
            "gridPos": {
                "x": place % across * _WIDTH,
                "y": place // across * _HEIGHT,
                "w": _WIDTH,
                "h": _HEIGHT,
            },
            "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
            "targets": [
                {
                    "refId": chr(ord("A") + number),
                    "datasource": SOURCE,
                    "expr": expression,
                    "legendFormat": legend,
                }
                for number, (expression, legend) in enumerate(panel.queries)
            ],
        }


def render() -> dict[Path, str]:
    """Every file and what stands in it."""
    return {
        FOLDER / f"{each.uid}.json": json.dumps(build(each), indent=2) + "\n" for each in DASHBOARDS
    }


if __name__ == "__main__":
    for path, text in render().items():
        path.write_text(text, "utf-8")
        sys.stdout.write(f"written: {path.name}\n")
