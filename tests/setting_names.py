"""Every setting that our processes and commands read, by the name of its variable."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

from pydantic import BaseModel
from pydantic_settings import BaseSettings

from api.notify.settings import NotifySettings
from api.settings import ApiSettings, DispatcherSettings
from api.webhooks.settings import DeliverSettings
from ingest.settings import IngestSettings, JudgeSettings

_ROOT = Path(__file__).parents[1]
_PROCESSES: tuple[type[BaseSettings], ...] = (
    *(IngestSettings, JudgeSettings, DispatcherSettings, DeliverSettings),
    *(NotifySettings, ApiSettings),
)


def exists_as_a_setting(name: str) -> bool:
    """Whether some process or command of ours reads this variable."""
    return name in _known()


@cache
def _known() -> frozenset[str]:
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
