"""Is the configuration good, before a box is left alone with it: values, files, the spool's place.

Nothing is opened that a running gateway holds, nothing is left behind, no secret is shown. What
would stop the gateway is an error; what it can live with and an operator should know, a warning.
"""

import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final, Literal, cast

from gateway.configuration import Reader, Source
from gateway.errors import ENVIRONMENT, ConfigurationError, Problem, SettingsError
from gateway.settings import GatewaySettings, config_file, reader_of
from gateway.spool_place import find_doubts
from gateway.tls import build_context

_OTHERS: Final = 0o077
_WRITABLE: Final = 0o022
_WRITTEN_BY_US: Final = frozenset({"log_file"})
_SECRET_WORDS: Final = ("key", "password")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at."""

    level: Literal["error", "warning"]
    problem: Problem

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        problem = self.problem
        return {
            "level": self.level,
            "where": problem.where,
            "name": problem.name,
            "problem": problem.detail,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """What ``check`` found; ``settings`` is None when they could not be built."""

    file: Path | None
    settings: GatewaySettings | None
    findings: tuple[Finding, ...]

    @property
    def good(self) -> bool:
        """Whether the gateway would start with this."""
        return not any(finding.level == "error" for finding in self.findings)


def check(environment: Mapping[str, str], file: Path | None = None) -> Report:
    """Read the configuration as the gateway would, and look at the files that it names."""
    chosen = config_file(environment, file)
    reader = reader_of(environment)
    try:
        settings = cast("GatewaySettings", reader.read(chosen))
    except ConfigurationError as error:
        return Report(chosen, None, tuple(Finding("error", p) for p in error.problems))
    found = [*_check_files(settings, reader), *_check_spool(settings, reader)]
    found += _check_tls(settings, reader)
    if settings.broker_password is not None:
        found += _check_password(reader, environment)
    if chosen is not None and chosen.stat().st_mode & _WRITABLE:
        detail = f"can be changed by others, who could run code by it. Run: chmod go-w {chosen}"
        found.append(Finding("warning", Problem("", detail, f"{chosen}:1", "file")))
    if chosen is None:
        detail = "is read alone: there is no file. Name one with --config or GATEWAY_CONFIG"
        found.append(Finding("warning", Problem("", detail, ENVIRONMENT, "the environment")))
    return Report(chosen, settings, tuple(found))


def _find(level: Literal["error", "warning"], source: Source, detail: str) -> Finding:
    return Finding(level, Problem("", detail, source.where, source.name))


def _check_files(settings: GatewaySettings, reader: Reader) -> Iterator[Finding]:
    """Every file that a setting names can be read, and a secret by its owner alone."""
    for setting in fields(settings):
        path = getattr(settings, setting.name)
        if not isinstance(path, Path) or not setting.name.endswith("_file"):
            continue
        source = reader.source_of(setting.name)
        if setting.name in _WRITTEN_BY_US:
            yield from _check_folder(path.parent, source)
            continue
        secret = any(word in setting.name for word in _SECRET_WORDS)
        yield from _check_file(path, source, secret=secret)


def _check_file(path: Path, source: Source, *, secret: bool) -> Iterator[Finding]:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            empty = not file.read(1)
    except OSError as error:
        yield _find("error", source, f"{path} cannot be read: {error.strerror}")
        return
    if empty:
        yield _find("error", source, f"{path} is empty")
    if secret and stat.S_IMODE(mode) & _OTHERS:
        detail = f"{path} is open to others (mode {stat.S_IMODE(mode):o}). Run: chmod 600 {path}"
        yield _find("error", source, detail)


def _check_tls(settings: GatewaySettings, reader: Reader) -> Iterator[Finding]:
    """The files are what they should be, and belong together."""
    if settings.tls is None:
        return
    try:
        build_context(settings.tls)
    except SettingsError as error:
        folder = settings.tls_identity_directory
        source = reader.source_of("tls_ca_file" if folder is None else "tls_identity_directory")
        yield _find("error", source, str(error))


def _check_password(reader: Reader, environment: Mapping[str, str]) -> Iterator[Finding]:
    """A container's secret file may be open by design, so this is only a warning."""
    source = reader.source_of("broker_password")
    if source.name.endswith("_FILE") and source.where == ENVIRONMENT:
        for finding in _check_file(Path(environment[source.name]), source, secret=True):
            yield replace(finding, level="warning")


def _check_spool(settings: GatewaySettings, reader: Reader) -> Iterator[Finding]:
    source = reader.source_of("spool")
    spool = settings.spool
    if spool.exists() and not spool.is_file():
        yield _find("error", source, f"{spool} is no file: name the spool's file in a folder")
        return
    if spool.exists() and not os.access(spool, os.R_OK | os.W_OK):
        yield _find("error", source, f"{spool} cannot be written by this user: check its owner")
    yield from _check_folder(spool.parent, source)
    if spool.parent.is_dir():
        for doubt in find_doubts(spool):
            yield _find("warning", source, doubt)


def _check_folder(folder: Path, source: Source) -> Iterator[Finding]:
    """The folder, or the nearest above it that is there, takes a file; nothing stays of it."""
    there = folder.absolute()
    while not there.exists():
        there = there.parent
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        detail = f"the folder {there} cannot be written: {error.strerror}"
        yield _find("error", source, detail)
        return
    if there != folder.absolute():
        yield _find("warning", source, f"the folder {folder} is not there yet; it will be made")
