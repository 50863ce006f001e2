"""Every metric that our processes expose, read from the code: writes ``docs/metrics.md``.

``make metrics``; a test fails when the page is not what this writes, and another when a running
process exposes something else. Nothing is connected to and nothing is started.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from api.app import create_app
from api.dispatcher import DispatcherMetrics
from api.notify.process import NotifyMetrics
from api.settings import ApiSettings
from api.webhooks.metrics import DeliverMetrics
from deploy.backup.watching import BackupMetrics
from gateway.metrics import FAMILIES
from gateway.wire.times import utc_now
from ingest.metrics import IngestMetrics, JudgeMetrics

PAGE: Final = Path(__file__).parents[2] / "docs" / "metrics.md"
_INTRODUCTION: Final = """\
# Metrics

Written by `make metrics` from the code; a test compares it with the code, another with what running
processes answer. How to scrape, alert and look at them: [monitoring.md](monitoring.md).

Nothing here is personal: sums and states, with labels from fixed lists (routes are templates, never
addresses). A counter ends in `_total`; a histogram has `_bucket`, `_sum` and `_count`. Every server
process also tells `suifang_build_info{version}` and, as every Python client of Prometheus does,
`process_*` (memory, processor time, open files and their limit, start time).
"""


class Exposed(NamedTuple):
    """One metric as it is documented."""

    name: str  # As it is exposed, of a histogram without its suffixes.
    kind: str
    labels: tuple[str, ...]
    help: str


class Process(NamedTuple):
    """One command, where it serves its metrics, and what they are."""

    name: str  # Of its job, and after "suifang_" of its metrics.
    setting: str
    metrics: list[Exposed]
    arguments: str = ""


def list_processes() -> list[Process]:
    """All of them, in the order a reading passes them."""
    api = create_app(ApiSettings(db_dsn=SecretStr("postgresql:///nowhere")), utc_now)
    return [
        Process("gateway", "GATEWAY_METRICS_PORT", list(_of_gateway())),
        Process("ingest", "INGEST_OBSERVATION__PORT", list(_of(IngestMetrics().registry))),
        Process("judge", "JUDGE_OBSERVATION__PORT", list(_of(JudgeMetrics().registry))),
        Process("dispatcher", "DISPATCHER_METRICS__PORT", list(_of(DispatcherMetrics().registry))),
        Process("deliver", "DELIVER_METRICS__PORT", list(_of(DeliverMetrics().registry))),
        Process("notify", "NOTIFY_METRICS__PORT", list(_of(NotifyMetrics().registry))),
        Process("api", "API_METRICS__PORT", list(_of(api.state.services.metrics.registry))),
        Process(
            *("backup", "SUIFANG_BACKUP_METRICS_PORT", list(_of(BackupMetrics().registry))),
            arguments=" watch",
        ),
    ]


def _of(registry: CollectorRegistry) -> Iterator[Exposed]:
    collectors = registry._collector_to_names  # noqa: SLF001 - labels before the first sample
    for collector in collectors:
        for family in collector.collect():
            labels = getattr(collector, "_labelnames", getattr(family, "_labelnames", ()))
            suffix = "_total" if family.type == "counter" else ""
            yield Exposed(
                family.name + suffix, family.type, tuple(labels or ()), family.documentation
            )


def _of_gateway() -> Iterator[Exposed]:
    labels = {"suifang_gateway_problems": ("problem",), "suifang_gateway_counted_total": ("what",)}
    for family in FAMILIES:
        yield Exposed(family.name, family.kind, labels.get(family.name, ()), family.help)


def render() -> str:
    """The page."""
    parts = [_INTRODUCTION]
    for process in list_processes():
        command = f"suifang {process.name}{process.arguments}"
        parts.append(f"\n## {command}\n\nServed where `{process.setting}` says.\n")
        parts.append("\n| metric | kind | labels | meaning |\n|---|---|---|---|\n")
        for metric in process.metrics:
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            parts.append(f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help} |\n")
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(render(), "utf-8")
    sys.stdout.write(f"written: {PAGE.name}\n")
