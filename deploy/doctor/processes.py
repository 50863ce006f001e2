"""The processes' settings, secrets and ports: read as each process would read them.

A port that one of our own processes has is free for it: it answers as ours.
"""

import os
import re
import socket
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from pydantic import ValidationError

from api.notify.settings import NotifySettings
from api.settings import ApiSettings, DispatcherSettings
from api.webhooks.settings import DeliverSettings
from deploy.doctor.findings import Finding, failed, fine, warned
from ingest.db.keyring import KeyFileError, read_keyring, read_secret_file
from ingest.settings import IngestSettings, JudgeSettings

AnySettings: TypeAlias = (
    IngestSettings
    | JudgeSettings
    | DispatcherSettings
    | DeliverSettings
    | NotifySettings
    | ApiSettings
)
Settings: TypeAlias = Mapping[str, AnySettings]
MODELS: Final[Mapping[str, type[AnySettings]]] = {
    "ingest": IngestSettings,
    "judge": JudgeSettings,
    "dispatcher": DispatcherSettings,
    "deliver": DeliverSettings,
    "notify": NotifySettings,
    "api": ApiSettings,
}
_PUBLIC: Final = ("ca_file", "people_file", "simulator_file")  # No secrets.
_CHANNELS: Final = ("NOTIFY_EMAIL__", "NOTIFY_WEBHOOK__", "NOTIFY_ADAPTERS")
"""Its login is made with the others', so a connection string alone does not say that it is used."""
_ANSWER_S_MAX: Final = 2.0
_MOUNTS: Final = Path("/proc/self/mountinfo")


def read_settings(environment: Mapping[str, str]) -> tuple[Settings, list[Finding]]:
    """Settings of every process that the environment names, and what is wrong with them."""
    found: dict[str, AnySettings] = {}
    findings = []
    for name, model in MODELS.items():
        prefix = str(model.model_config["env_prefix"])
        if not any(key.startswith(prefix) for key in environment):
            continue
        if name == "notify" and not any(key.startswith(_CHANNELS) for key in environment):
            remedy = "set a channel (docs/alerts.md), or have people look at the console"
            findings.append(warned("settings", name, "no channel: it tells nobody", remedy))
            continue
        try:
            found[name] = model()
        except ValidationError as error:
            for problem in error.errors(include_url=False, include_input=False):
                setting = prefix + "__".join(str(part) for part in problem["loc"]).upper()
                said = problem["msg"].removeprefix("Value error, ")
                what = f"{setting}: {said}" if problem["loc"] else said
                remedy = f"set it where suifang {name} gets its environment"
                findings.append(failed("settings", name, what, remedy))
        else:
            findings.append(fine("settings", name, "can be used"))
    if not found and not findings:
        remedy = "suifang doctor --env /etc/suifang/suifang.env, or set INGEST_DB_DSN and so on"
        findings.append(failed("settings", "none", "no process is set up here", remedy))
    return found, findings


def check_files(settings: Settings, secret_files: list[Path]) -> Iterator[Finding]:
    """Secrets belong to one account, and keys can be used."""
    named = {
        path: name
        for process in settings.values()
        for name, path in _walk_files(process)
        if name not in _PUBLIC
    }
    for path in sorted({*named, *secret_files}):
        yield _check_secret(path)
    for path, name in sorted(named.items()):
        try:
            if name == "key_file":
                read_keyring(path)
            elif name == "pseudonym_key_file":
                read_secret_file(path, "pseudonym key")
            else:
                continue
        except KeyFileError as error:
            remedy = "suifang keys status says more; restore the file from where you keep it safe"
            yield failed("files", "key", str(error), remedy)
        else:
            yield fine("files", "key", f"{path} can be used")


def _walk_files(settings: object) -> Iterator[tuple[str, Path]]:
    """Every setting that is a file, however deep."""
    for name in getattr(type(settings), "model_fields", {}):
        value = getattr(settings, name)
        if isinstance(value, Path):
            if name.endswith("_file"):
                yield name, value
        else:
            yield from _walk_files(value)


def _check_secret(path: Path) -> Finding:
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        return failed("files", "secret", f"{path}: {error.strerror}", "name a readable file")
    told = f"{path} has mode {mode:04o}"
    reach = _reach(path, mode)
    if reach & (stat.S_IRWXO | stat.S_IWGRP):
        return failed("files", "secret", f"{told}: open to others", f"chmod 600 {path}")
    if reach & stat.S_IRWXG:
        return warned("files", "secret", f"{told}: its group reads it", f"chmod 600 {path}")
    if not os.access(path, os.R_OK):
        who = f"run as the account of the processes, or chown it: {path}"
        return failed("files", "secret", f"{path} cannot be read", who)
    return fine("files", "secret", told)


def _reach(path: Path, mode: int) -> int:
    """What of a file's mode holds for others than its owner: its folder may keep them out.

    The credentials' folder does: its files are readable, for a container reads them as itself. In
    the container each is a mount of its own, of which the same is true: the folder outside keeps
    others out, and inside there are none.
    """
    if _MOUNTS.is_file() and is_given_alone(path.resolve(), _MOUNTS.read_text("utf-8")):
        return 0
    folder = path.resolve().parent.stat()
    if folder.st_uid not in {0, path.stat().st_uid, os.geteuid()}:
        return mode
    entered = stat.S_IMODE(folder.st_mode)
    if not entered & (stat.S_IXGRP | stat.S_IXOTH):
        return 0
    if not entered & stat.S_IXOTH:  # Whoever is of the folder's group may be anybody to the file.
        return (mode | mode << 3) & stat.S_IRWXG
    return mode


def is_given_alone(path: Path, mounts: str) -> bool:
    """Whether a file is a read-only mount of its own, as compose gives a container its secrets.

    Args:
        path: The file.
        mounts: ``/proc/self/mountinfo``, where odd characters are octal. The last mount counts.
    """
    found = False
    for line in mounts.splitlines():
        _, _, _, _, where, options, *_ = line.split(" ")
        if re.sub(r"\\([0-7]{3})", lambda each: chr(int(each[1], 8)), where) == str(path):
            found = "ro" in options.split(",")
    return found


def check_ports(settings: Settings) -> Iterator[Finding]:
    """Where each process is to listen is free, or it listens there already."""
    for name, host, port in _list_ports(settings):
        if port == 0:
            continue
        where = f"{host}:{port} of {name}"
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            socket.create_server((host, port), family=family).close()
        except OSError as error:
            if _is_ours(host, port):
                yield fine("ports", name, f"{where}: it listens there")
            else:
                remedy = f"ss -ltnp 'sport = :{port}' says who has it; or choose another port"
                yield failed("ports", name, f"{where}: {error.strerror}", remedy)
        else:
            yield fine("ports", name, f"{where} is free")


def _list_ports(settings: Settings) -> Iterator[tuple[str, str, int]]:
    for name, process in settings.items():
        if isinstance(process, ApiSettings):
            yield name, process.host, process.port
        for own in ("observation", "metrics"):
            observed = getattr(process, own, None)
            if observed is not None and observed.port is not None:
                yield name, observed.host, observed.port


def _is_ours(host: str, port: int) -> bool:
    address = f"http://{f'[{host}]' if ':' in host else host}:{port}/healthz"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=_ANSWER_S_MAX) as answer:
            return b'"status"' in answer.read(1_024)
    except (urllib.error.URLError, OSError, ValueError):
        return False
