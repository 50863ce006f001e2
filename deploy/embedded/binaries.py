"""Which PostgreSQL and Mosquitto programs to run: the host's own when they are new enough.

Only programs are taken from the host, never a running service, its data or its settings.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final, Literal, TypeAlias

Origin: TypeAlias = Literal["host", "unpacked"]
Version: TypeAlias = tuple[int, ...]

POSTGRES_MIN: Final[Version] = (16,)
TIMESCALEDB_MIN: Final[Version] = (2, 14)
MOSQUITTO_MIN: Final[Version] = (2, 0, 18)
_ASK_S_MAX: Final = 10.0
_HOST: Final = Path("/")
_HOST_BIN_PATTERNS: Final = (
    "usr/lib/postgresql/*/bin",  # Debian and its children
    "usr/pgsql-*/bin",  # PostgreSQL's own packages for Red Hat and its children
    "usr/local/pgsql/bin",
    "usr/bin",
)


@dataclass(frozen=True, slots=True)
class PostgresBinaries:
    """Programs of one PostgreSQL that has TimescaleDB."""

    folder: Path
    version: str
    timescaledb: str
    origin: Origin

    @property
    def major(self) -> int:
        """What a data folder must have been made by."""
        return parse_version(self.version)[0]


@dataclass(frozen=True, slots=True)
class BrokerBinaries:
    """Programs of one Mosquitto."""

    server: Path
    passwd: Path
    version: str
    origin: Origin


def parse_version(text: str) -> Version:
    """The first dotted number of a text; empty when there is none.

    >>> parse_version("postgres (PostgreSQL) 17.6 (Debian 17.6-0+deb13u1)")
    (17, 6)
    >>> parse_version("18beta1")
    (18,)
    """
    found = re.search(r"\d+(?:\.\d+)*", text)
    return tuple(int(part) for part in found[0].split(".")) if found else ()


def dotted(version: Version) -> str:
    """The way people write it."""
    return ".".join(map(str, version))


def find_host_postgres(major: int | None = None, root: Path = _HOST) -> PostgresBinaries | None:
    """The newest usable PostgreSQL of the host.

    Args:
        major: Only this one, because a data folder made by it exists.
        root: Where to look; another folder only in tests.
    """
    folders = list(chain.from_iterable(sorted(root.glob(each)) for each in _HOST_BIN_PATTERNS))
    on_path = shutil.which("postgres") if root == _HOST else None
    if on_path:
        folders.append(Path(on_path).resolve().parent)
    usable = [
        found
        for folder in dict.fromkeys(folders)
        if (found := inspect_postgres(folder, "host")) is not None
        and (major is None or found.major == major)
    ]
    return max(usable, key=lambda each: parse_version(each.version), default=None)


def inspect_postgres(folder: Path, origin: Origin) -> PostgresBinaries | None:
    """What PostgreSQL a folder of programs is; None unless new enough and with TimescaleDB."""
    if not all((folder / name).is_file() for name in ("postgres", "initdb")):
        return None
    version = parse_version(ask([folder / "postgres", "--version"]))
    if version < POSTGRES_MIN:
        return None
    control = _first(
        share / "extension/timescaledb.control" for share in _share_folders(folder, version[0])
    )
    library = _first(lib / "timescaledb.so" for lib in _library_folders(folder))
    if control is None or library is None:
        return None
    stated = re.search(r"default_version\s*=\s*'([^']+)'", control.read_text("utf-8", "replace"))
    timescaledb = stated[1] if stated else ""
    if parse_version(timescaledb) < TIMESCALEDB_MIN:
        return None
    return PostgresBinaries(folder, dotted(version), timescaledb, origin)


def find_host_broker(folders: Sequence[Path] | None = None) -> BrokerBinaries | None:
    """The host's Mosquitto, when it is new enough."""
    places = folders or [Path(each) for each in ("/usr/sbin", "/usr/local/sbin", "/usr/bin")]
    server = _first(place / "mosquitto" for place in places)
    passwd = _first(
        place / "mosquitto_passwd" for place in [*places, *(each.parent / "bin" for each in places)]
    )
    if server is None or passwd is None:
        return None
    return inspect_broker(server, passwd, "host")


def inspect_broker(server: Path, passwd: Path, origin: Origin) -> BrokerBinaries | None:
    """What Mosquitto a program is; None unless new enough."""
    version = parse_version(ask([server, "-h"]).partition("version")[2])
    if version < MOSQUITTO_MIN:
        return None
    return BrokerBinaries(server, passwd, dotted(version), origin)


def ask(command: Sequence[str | Path]) -> str:
    """What a program says about itself; empty when it cannot run."""
    try:
        answer = subprocess.run(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_ASK_S_MAX,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout


def _share_folders(folder: Path, major: int) -> list[Path]:
    prefix = folder.parent
    debian = folder.parents[3] if len(folder.parents) > 3 else prefix  # noqa: PLR2004 - usr
    return [
        debian / f"share/postgresql/{major}",
        prefix / "share/postgresql",
        prefix / "share/pgsql",
        prefix / "share",
    ]


def _library_folders(folder: Path) -> list[Path]:
    prefix = folder.parent
    return [
        prefix / "lib",
        prefix / "lib/postgresql",
        prefix / "lib64/pgsql",
        prefix / "lib/pgsql",
    ]


def _first(files: Iterable[Path]) -> Path | None:
    return next((file for file in files if file.is_file()), None)
