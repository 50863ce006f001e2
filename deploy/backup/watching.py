"""Tells Prometheus how a shelf is: the age of its base backup, and what it lacks of the log.

It runs beside the shelf and only looks, at the shelf and at the server. It is no part of the
receiver: who is dead cannot tell that it is dead. What cannot be seen counts as missing.
"""

import signal
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from prometheus_client import CollectorRegistry, Gauge

from deploy.backup.checking import ask_progress, find_gaps
from deploy.backup.errors import BackupError
from deploy.backup.shelf import Shelf
from deploy.backup.tools import ask_kept_bytes_max
from ingest.observation import Observation

_STOPPED: Final = 0


class BackupMetrics:
    """All metrics of one watch, in a registry of its own; and in words what is wrong."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.problems: Sequence[str] = ["not looked at yet"]
        self.bases = Gauge("suifang_backup_bases", "Base backups on the shelf.", registry=registry)
        self.base_ended = Gauge(
            "suifang_backup_base_end_timestamp_seconds",
            "When the newest base backup had ended; 0 without any.",
            registry=registry,
        )
        self.shelf_bytes = Gauge(
            "suifang_backup_shelf_bytes",
            "What lies on the shelf: base backups, and log.",
            ["what"],
            registry=registry,
        )
        self.gaps = Gauge(
            "suifang_backup_log_gaps",
            "Gaps in the log behind the newest base backup: a new one is needed.",
            registry=registry,
        )
        self.reached = Gauge(
            "suifang_backup_log_reached",
            "1 if all that the server had written was on the shelf ten seconds later.",
            registry=registry,
        )
        self.behind_bytes = Gauge(
            "suifang_backup_log_behind_bytes",
            "Log that the server keeps because it is not on the shelf; 0 where it keeps none.",
            registry=registry,
        )
        self.kept_bytes_max = Gauge(
            "suifang_backup_log_kept_bytes_max",
            "So much log the server keeps at most, then there is a gap (max_slot_wal_keep_size).",
            registry=registry,
        )

    def find_problems(self) -> list[str]:
        """For ``/readyz``."""
        return list(self.problems)

    def look(self, shelf: Shelf, dsn: str) -> None:
        """Look once, at the shelf and then at the server; takes ten seconds if it is behind."""
        problems: list[str] = []
        try:
            problems += self._look_at_shelf(shelf)
        except (BackupError, OSError) as error:
            problems.append(str(error))
            self.base_ended.set(0)
        reached = False
        try:
            self.kept_bytes_max.set(ask_kept_bytes_max(dsn))
            progress = ask_progress(shelf, dsn)
            self.behind_bytes.set(progress.behind_bytes)
            problems += progress.problems
            reached = not progress.problems
        except (BackupError, OSError) as error:
            problems.append(str(error))
        self.reached.set(reached)
        self.problems = problems

    def _look_at_shelf(self, shelf: Shelf) -> Sequence[str]:
        bases = shelf.bases()
        self.bases.set(len(bases))
        self.base_ended.set(bases[-1].ended_at.timestamp() if bases else 0)
        self.shelf_bytes.labels("bases").set(sum(base.bytes for base in bases))
        self.shelf_bytes.labels("log").set(shelf.log().bytes)
        gaps = list(find_gaps(shelf, bases))
        self.gaps.set(len(gaps))
        return gaps


def watch(
    shelf: Shelf,
    dsn: str,
    *,
    host: str,
    port: int,
    every_s: float,
    report: Callable[[str], None],
) -> NoReturn:
    """Serve the metrics and look, for ever; SIGTERM ends it.

    Args:
        shelf: To look at.
        dsn: Of the server, of a login with REPLICATION.
        host: Where ``/metrics``, ``/healthz`` and ``/readyz`` are served.
        port: The same.
        every_s: Seconds from one look to the next.
        report: Is told what is wrong when something is, and when nothing is any more.

    Raises:
        BackupError: The port cannot be had.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_STOPPED))
    metrics = BackupMetrics()
    observation = Observation(metrics.registry, metrics.find_problems)
    try:
        report(f"watching {shelf.root}, {observation.start(host, port)}")
    except OSError as error:
        msg = f"{host}:{port} cannot be had ({error.strerror}): set SUIFANG_BACKUP_METRICS_PORT"
        raise BackupError(msg) from error
    well: bool | None = None
    while True:
        metrics.look(shelf, dsn)
        if well is not (not metrics.problems):
            well = not metrics.problems
            report("; ".join(metrics.problems) or "the log is on the shelf")
        time.sleep(every_s)
