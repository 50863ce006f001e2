"""Where a load goes: a broker, the gateways it knows, and the processes to look at meanwhile.

A deployment's gateways come from a CSV file that is a secret (mode 0600): ``gateway,centre`` and
either ``password`` or ``certificate`` (a PEM file with its key, as an enrolment leaves it).
"""

import csv
import re
import resource
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.errors import SettingsError
from gateway.tls import TlsFiles, build_context, is_loopback
from gateway.wire.topics import NAME_PATTERN
from simulators.errors import LoadError
from simulators.load.link import Login
from simulators.load.sampling import Watch, watch_processes
from simulators.sites import Site

_NAME: Final = re.compile(NAME_PATTERN, re.ASCII)
_OTHERS: Final = 0o077
_SPARE_DESCRIPTORS: Final = 100


Problem = Callable[[], str | None]
"""Says what has ended, if anything has."""


def _nothing_wrong() -> str | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One broker and the gateways that may come to it.

    Attributes:
        sites: Gateways with their centres.
        logins: Of the same, in the same order.
        watch: Processor time of the processes behind it, by name.
        problem: Says what ended meanwhile, if anything did.
        with_receipts: Whether somebody behind the broker answers with receipts.
    """

    host: str
    port: int
    sites: Sequence[Site]
    logins: Sequence[Login]
    watch: Watch = field(default_factory=lambda: watch_processes({}))
    problem: Problem = _nothing_wrong
    with_receipts: bool = True


def read_gateways(path: Path, *, host: str, authority: Path | None) -> list[tuple[Site, Login]]:
    """Read a file of gateways.

    Args:
        path: CSV with a header.
        host: The broker's; a password goes in clear text to this machine only.
        authority: The certificate of who signed the broker's; None: no TLS.

    Raises:
        LoadError: Not readable, or a line that is none; names line, field, value and remedy.
    """
    try:
        if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
            msg = f"{path} holds secrets and others may read it: chmod 600 {path}"
            raise LoadError(msg)
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"cannot read the gateways {path}: {error}"
        raise LoadError(msg) from error
    if authority is None and not is_loopback(host):
        msg = (
            f"passwords would go to {host} in clear text: give --ca, the authority's certificate,"
            " and the broker's TLS port"
        )
        raise LoadError(msg)
    found: dict[str, tuple[Site, Login]] = {}
    for line, row in enumerate(rows, start=2):
        try:
            site, login = _read_row(row, path.parent, authority)
        except ValueError as error:
            msg = f"{path}, line {line}: {error}"
            raise LoadError(msg) from error
        if site.gateway_id in found:
            msg = f"{path}, line {line}: gateway {site.gateway_id!r} is there twice; keep one"
            raise LoadError(msg)
        found[site.gateway_id] = (site, login)
    if not found:
        msg = f"{path} names no gateway; its header is gateway,centre,password"
        raise LoadError(msg)
    return list(found.values())


def _read_row(row: dict[str, str], folder: Path, authority: Path | None) -> tuple[Site, Login]:
    names = {}
    for field_name in ("gateway", "centre"):
        names[field_name] = value = row.get(field_name) or ""
        if not _NAME.fullmatch(value):
            msg = f"{field_name} {value!r} is no name; use small letters, digits and -"
            raise ValueError(msg)
    site = Site(centre_id=names["centre"], gateway_id=names["gateway"])
    password, certificate = row.get("password") or None, row.get("certificate") or None
    if not password and not certificate:
        msg = f"neither password nor certificate of {site.gateway_id!r}; fill one of the columns"
        raise ValueError(msg)
    if authority is None:
        return site, Login(site.gateway_id, password)
    try:
        files = TlsFiles(authority, folder / certificate if certificate else None)
        return site, Login(site.gateway_id, password, tls=build_context(files))
    except SettingsError as error:
        raise ValueError(str(error)) from error


def require_descriptors(gateways: int) -> None:
    """Make room for so many connections, within what this process may have.

    Raises:
        LoadError: It may not have so many; says how to allow it.
    """
    needed = gateways + _SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        msg = (
            f"{gateways:,} gateways need {needed:,} open files and this process may have {hard:,}:"
            f" allow more (`ulimit -Hn {needed}` as root, LimitNOFILE= of its service, or"
            " /etc/security/limits.conf), or give fewer --gateways"
        )
        raise LoadError(msg)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
