"""Every setting that our processes and commands read, by the name of its variable."""

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import get_args
from unittest.mock import patch

from pydantic import BaseModel
from pydantic_settings import BaseSettings

from api.notify.settings import NotifySettings
from api.settings import ApiSettings, DispatcherSettings
from api.webhooks.settings import DeliverSettings
from deploy.credential_folder import CredentialFolder
from deploy.credentials import read_credentials
from deploy.pki.folder import AuthorityFolder
from ingest.settings import IngestSettings, JudgeSettings

_ROOT = Path(__file__).parents[1]
_DAY = datetime(2026, 3, 2, tzinfo=UTC)
_CHANNEL = {"NOTIFY_EMAIL__HOST": "mail.example.org", "NOTIFY_EMAIL__SENDER": "a@example.org"}
_PROCESSES: tuple[type[BaseSettings], ...] = (
    *(IngestSettings, JudgeSettings, DispatcherSettings, DeliverSettings),
    *(NotifySettings, ApiSettings),
)


def exists_as_a_setting(name: str) -> bool:
    """Whether some process or command of ours reads this variable."""
    return name in known_settings()


def build_settings(
    process: str, environment: Mapping[str, str], mounted: Mapping[str, str], root: Path
) -> BaseSettings:
    """The settings a process makes of what its container gives it; all of ours must be its own.

    Args:
        process: The command, such as ``ingest``.
        environment: Of the container.
        mounted: For each path of a file in there the secret, or file of the authority, it is.
        root: An empty folder that stands for the container's root.
    """
    (settings,) = (one for one in _PROCESSES if one.model_config["env_prefix"] == _prefix(process))
    CredentialFolder(root / "all").make(host="db", port=5432, database="d", at=_DAY)
    AuthorityFolder(root / "all").make("Test", at=_DAY, days=3650)
    for path, secret in mounted.items():
        place = root / path.strip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / "all" / secret, place)
    if process == "notify":  # It is started once it has a channel.
        environment = {**_CHANNEL, **environment}
    own = {n: f"{root}{v}" if v.startswith("/") else v for n, v in environment.items()}
    own |= read_credentials(own)
    foreign = {name for name in own if not name.startswith(_prefix(process))}
    assert foreign <= {"CREDENTIALS_DIRECTORY"}, foreign
    with patch.dict(os.environ, own):
        made = settings()
    for path in (value for value in own.values() if value.startswith(f"{root}/")):
        assert Path(path).exists(), path
    return made


def _prefix(process: str) -> str:
    return f"{process.upper()}_"


@cache
def known_settings() -> frozenset[str]:
    """All of them."""
    found = {
        name
        for settings in _PROCESSES
        for name in _names(settings, str(settings.model_config["env_prefix"]))
    }
    for folder in ("api", "deploy", "ingest", "simulators"):
        for path in (_ROOT / folder).rglob("*.py"):
            found |= set(re.findall(r'envvar="([A-Z_]+)"', path.read_text("utf-8")))
    return frozenset(found)


def _names(model: type[BaseModel], prefix: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        full = f"{prefix}{name}".upper()
        yield full
        for kind in (field.annotation, *get_args(field.annotation)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from _names(kind, f"{full}__")
