"""Who may come to the broker and do what: its listeners, and its access rules beside ours.

It reads the configuration and the file of rules, and tries nothing at the broker.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from api.auth.settings import is_loopback
from deploy.doctor.findings import Finding, failed, fine, warned

_AREA: Final = "broker"
RULES: Final = Path(__file__).parents[1] / "mosquitto" / "acl"
_GATEWAYS: Final = "every gateway"
_NOBODY: Final = "anybody without a name"


class Rule(NamedTuple):
    """What somebody may do."""

    who: str
    what: str


def check_access(lines: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    """Whether only those come in who should, and may do what they should.

    Args:
        lines: Of the configuration, in order, with those of included files.
    """
    yield from _check_listeners(lines)
    named = dict(lines).get("acl_file")
    if named is None:
        remedy = f"acl_file with {RULES.name} of deploy/mosquitto, then restart the broker"
        what = "no acl_file: whoever comes in reads and writes for every gateway"
        yield failed(_AREA, "acl_file", what, remedy)
        return
    try:
        theirs = set(_read_rules(Path(named)))
    except PermissionError:
        remedy = "run the doctor as root, once: the file is the broker's"
        yield warned(_AREA, "acl_file", f"{named} may not be read: not compared", remedy)
        return
    except OSError as error:
        remedy = "name a file that is there, or take deploy/mosquitto/acl"
        yield failed(_AREA, "acl_file", f"{named}: {error.strerror}", remedy)
        return
    ours = set(_read_rules(RULES))
    remedy = f"take {named} from deploy/mosquitto/acl, then restart the broker (never SIGHUP)"
    for rule in sorted(ours - theirs):
        yield failed(_AREA, "acl_file", f"{rule.who} lacks `{rule.what}`", remedy)
    known = {_NOBODY, *(rule.who for rule in ours)}
    for rule in sorted(theirs - ours):
        judge = failed if rule.who in known else warned
        yield judge(_AREA, "acl_file", f"{rule.who} has `{rule.what}`; not ours", remedy)
    if theirs == ours:
        yield fine(_AREA, "acl_file", f"{named} has our rules")


def _read_rules(path: Path) -> Iterator[Rule]:
    who = _NOBODY
    for line in path.read_text("utf-8").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "user":
            who = " ".join(words[1:])
        else:
            yield Rule(_GATEWAYS if words[0] == "pattern" else who, " ".join(words))


def _check_listeners(lines: Sequence[tuple[str, str]]) -> Iterator[Finding]:
    for where, options in _list_listeners(lines):
        port, _, host = where.partition(" ")
        if port == "0" or is_loopback(host.strip() or options.get("bind_address", "")):
            yield fine(_AREA, "listener", f"listener {where} is this machine's alone")
        elif "certfile" in options:
            yield fine(_AREA, "listener", f"listener {where} speaks TLS")
        else:
            remedy = f"`listener {port} 127.0.0.1`, or certificates (deploy/mosquitto/tls.conf)"
            what = f"listener {where} is open to others without certificates"
            yield failed(_AREA, "listener", what, remedy)


def _list_listeners(lines: Sequence[tuple[str, str]]) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Each listener with its options; those before the first are of the one that ``port`` opens."""
    where, options = "", dict[str, str]()
    for name, value in lines:
        if name == "listener":
            if where:
                yield where, options
            where, options = value, {}
        elif name == "port" and not where:
            where = value
        else:
            options[name] = value
    if where:
        yield where, options
