"""Which programs a stack runs: the host's own if new enough, else unpacked ones.

Fetching happens only where the caller asked for it; looking never downloads.
"""

from collections.abc import Callable
from typing import TypeVar

from deploy.embedded.binaries import (
    BrokerBinaries,
    PostgresBinaries,
    find_host_broker,
    find_host_postgres,
)
from deploy.embedded.errors import NotReadyError, UnsafeFolderError
from deploy.embedded.folders import Layout, Report, can_pass
from deploy.embedded.packages import Packages

_Programs = TypeVar("_Programs", PostgresBinaries, BrokerBinaries)


def find_postgres(
    layout: Layout, major: int | None, report: Report | None = None
) -> PostgresBinaries:
    """PostgreSQL for a stack.

    Args:
        layout: The stack.
        major: Only this one, because its data folder was made by it.
        report: Fetch what is missing, and say so here; None: only look.
    """
    found = find_host_postgres(major)
    return found or _unpacked(layout, Packages.postgres, "PostgreSQL", report)


def find_broker(layout: Layout, report: Report | None = None) -> BrokerBinaries:
    """Mosquitto for a stack; fetched only when there is a ``report``."""
    return find_host_broker() or _unpacked(layout, Packages.broker, "Mosquitto", report)


def _unpacked(
    layout: Layout,
    ask: Callable[[Packages], _Programs | None],
    what: str,
    report: Report | None,
) -> _Programs:
    """The unpacked programs; fetched when they are missing and there is a ``report`` to."""
    packages = Packages(layout.packages)
    if report is not None:
        packages.fetch(report)
    found = ask(packages)
    if found is None:
        what = f"{what} is not unpacked"
        raise NotReadyError(what)
    if layout.account.dropped and not can_pass(packages.folder, layout.account):
        problem = "cannot be reached by the account that the services run as"
        raise UnsafeFolderError(packages.folder, problem)
    return found
