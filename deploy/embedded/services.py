"""One service of the stack: started until it answers, its port, its versions, its status."""

import json
import time
from collections.abc import Callable, Mapping
from typing import Final

from deploy.embedded import postgres
from deploy.embedded.broker import Broker
from deploy.embedded.errors import NotReadyError, ServiceError
from deploy.embedded.folders import Layout, read_object, write_private
from deploy.embedded.ports import LOOPBACK, PortMemory
from deploy.embedded.postgres import Postgres
from deploy.embedded.status import ServiceStatus

_START_PAUSES_S: Final = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # Between tries; then give up.


def keep_trying(
    layout: Layout,
    service: str,
    launch: Callable[[int], None],
    ready: Callable[[int], bool],
) -> None:
    """Launch until it answers: its port may be snatched, or what was killed is still ending."""
    memory = PortMemory(layout.ports_file)
    for pause_s in _START_PAUSES_S:
        port = memory.claim(service)
        launch(port)
        if ready(port):
            return
        time.sleep(pause_s)
    server = Postgres(layout) if service == postgres.NAME else Broker(layout)
    raise ServiceError(service, "ends right after its start", server.newest_log(), server.why())


def recall_port(layout: Layout, service: str) -> int:
    """The port a service uses. Raises ``NotReadyError`` before its first start."""
    port = PortMemory(layout.ports_file).recall(service)
    if port is None:
        what = f"{service} was never started"
        raise NotReadyError(what)
    return port


def note_versions(layout: Layout, seen: Mapping[str, str]) -> None:
    """Remember which programs run, for the status."""
    file = layout.root / "versions.json"
    known = read_object(file)
    if known | dict(seen) != known:
        write_private(file, json.dumps(known | dict(seen)))


def describe(layout: Layout | None, name: str, versions: Mapping[str, object]) -> ServiceStatus:
    """What is known of one service now."""
    server: Postgres | Broker | None = None
    if layout is not None:
        server = Postgres(layout) if name == postgres.NAME else Broker(layout)
    found = None if server is None else server.identity
    return ServiceStatus(
        name=name,
        running=found is not None,
        pid=None if found is None else found.pid,
        version=as_text(versions.get(name)),
        origin=as_text(versions.get(f"{name}.origin")),
        host=LOOPBACK,
        port=None if layout is None else PortMemory(layout.ports_file).recall(name),
        since=None if found is None else found.since,
        data_dir=None if server is None else server.data,
        log=None if server is None else server.newest_log(),
    )


def as_text(value: object) -> str | None:
    """A remembered value, if it is a text."""
    return value if isinstance(value, str) else None
