"""The host's own package mirror, with another release's suite: what apt reads in private.

Nothing here names a mirror: addresses, signing keys, proxies and transports are the host's.
The host's apt state is read and never written; its hooks are left out, because they act on it.
"""

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.embedded.errors import PackagesError, UnsupportedHostError

SUITE: Final = "trixie"  # Debian 13: the first release with TimescaleDB. A suite, not a version.
_SOURCES: Final = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)|$(TARGET_OF)|$(SOURCESENTRY)"
_ANSWER_S_MAX: Final = 30.0
# Hooks act on the host; index targets beyond the package lists are not needed; the last two
# would make apt read the host's folders of settings after this one.
_DROPPED: Final = re.compile(
    r"^(?:[\w:-]*Invoke[\w:-]*|Acquire::IndexTargets.*|Dir::Etc::(?:parts|main)) ", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Source:
    """One entry of the private list of sources."""

    address: str
    suite: str
    component: str
    signed_by: str  # As the host wrote it, maybe several lines; empty: apt's trusted keys.


def read_codename(os_release: str) -> str:
    """Which Debian release this is.

    Raises:
        UnsupportedHostError: It is not Debian, so that its mirror holds other packages.
    """
    fields = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', os_release, re.MULTILINE))
    if fields.get("ID") != "debian" or not fields.get("VERSION_CODENAME"):
        name = fields.get("PRETTY_NAME", "this system")
        msg = (
            f"{name} has no PostgreSQL with TimescaleDB and Mosquitto installed that are new "
            "enough, and they can be fetched on Debian only"
        )
        raise UnsupportedHostError(msg)
    return str(fields["VERSION_CODENAME"])


def list_host_targets() -> str:
    """What the host's apt reads, one line per index."""
    return _ask(["apt-get", "indextargets", "--no-release-info", "--format", _SOURCES])


def read_private_settings() -> str:
    """The host's apt settings (proxies, transports, trust) without what acts on the host."""
    return filter_settings(_ask(["apt-config", "dump"]))


def filter_settings(dump: str) -> str:
    """Drop hooks and the folders of further settings from ``apt-config dump``."""
    kept = [line for line in dump.splitlines() if not _DROPPED.match(line)]
    return "\n".join([*kept, 'Dir::Etc::parts "/dev/null";', 'Dir::Etc::main "/dev/null";', ""])


def rewrite_targets(targets: str, codename: str, suite: str = SUITE) -> list[Source]:
    """The host's mirror with the suite replaced; security and updates come along.

    Only entries of the host's own release are taken: a third party's are not asked for ours.
    """
    sources: dict[Source, None] = {}
    for line in targets.splitlines():
        address, release, component, kind, entry = line.split("|")
        ours = re.fullmatch(
            rf"({re.escape(codename)}|stable|oldstable)(-security|-updates)?", release
        )
        if ours is None or kind != "deb":
            continue
        fresh = Source(address, suite + (ours[2] or ""), component, _read_signed_by(entry))
        sources[fresh] = None
    return list(sources)


def write_sources(sources: Iterable[Source]) -> str:
    """The private list, in apt's stanza format."""
    return "\n".join(
        f"Types: deb\nURIs: {each.address}\nSuites: {each.suite}\nComponents: {each.component}\n"
        + (f"Signed-By:{each.signed_by}\n" if each.signed_by else "")
        for each in sources
    )


def find_signed_by(text: str, entry: int, *, stanzas: bool) -> str:
    """What one entry of a file of sources says about its signing key, verbatim.

    Args:
        text: The file.
        entry: Number of the stanza, or of the line, from 1.
        stanzas: Which of the two formats it has.
    """
    if not stanzas:
        line = text.splitlines()[entry - 1] if entry <= len(text.splitlines()) else ""
        found = re.search(r"\[[^\]]*\bsigned-by=([^\s\]]+)", line, re.IGNORECASE)
        return " " + found[1].replace(",", " ") if found else ""
    # apt counts stanzas that hold a field; a block of comments alone is none.
    blocks = [
        re.sub(r"(?m)^#.*\n?", "", block) for block in re.split(r"\n(?:[ \t]*\n)+", text.strip())
    ]
    blocks = [block for block in blocks if block.strip()]
    block = blocks[entry - 1] if entry <= len(blocks) else ""
    found = re.search(r"(?im)^signed-by:(.*(?:\n[ \t].*)*)", block)
    return found[1].rstrip() if found else ""


def _read_signed_by(entry: str) -> str:
    name, _, number = entry.rpartition(":")
    try:
        text = Path(name).read_text("utf-8", "replace")
        return find_signed_by(text, int(number), stanzas=name.endswith(".sources"))
    except (OSError, ValueError):
        return ""  # Then apt's trusted keys must do; an unsigned answer is refused anyway.


def _ask(command: Sequence[str]) -> str:
    try:
        answer = subprocess.run(
            list(command), capture_output=True, text=True, check=True, timeout=_ANSWER_S_MAX
        )
    except (OSError, subprocess.SubprocessError) as error:
        msg = f"{' '.join(command[:2])} does not answer ({error})"
        raise PackagesError(msg) from error
    return answer.stdout
