"""``suifang api``, ``dispatcher``, ``deliver`` and ``notify``.

Exit codes: 0 stopped by a signal; 1 failed while running; 2 a wrong command line or setting,
said in one line.
"""

import asyncio
import json
import sys
from collections.abc import Coroutine
from typing import Annotated, Any, Final, NoReturn, TypeVar

import structlog
import typer
import uvloop
from pydantic import ValidationError
from pydantic_settings import BaseSettings

from api.enrolment.authority import AuthorityError
from api.errors import ApiError
from api.notify.process import make_channels
from api.notify.settings import NotifySettings
from api.runtime import deliver, dispatch, notify, serve
from api.settings import ApiSettings, DispatcherSettings
from api.webhooks.settings import DeliverSettings
from gateway.wire.service_manager import supervised
from gateway.wire.times import utc_now
from ingest.db.errors import DatabaseError
from ingest.db.keyring import KeyFileError

app: Final = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
dispatcher_app: Final = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
deliver_app: Final = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
notify_app: Final = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

Host = Annotated[str | None, typer.Option(help="Address to listen on; default API_HOST.")]
Port = Annotated[int | None, typer.Option(help="0 takes any free one; default API_PORT.")]
Json = Annotated[bool, typer.Option("--json", help="Print the address as one JSON object.")]
_KNOWN: Final = (
    ApiError,
    AuthorityError,
    DatabaseError,
    KeyFileError,
    OSError,
)  # Their words are enough, no trace is needed.
SettingsT = TypeVar("SettingsT", bound=BaseSettings)


@app.callback(invoke_without_command=True)
def run_api(host: Host = None, port: Port = None, as_json: Json = False) -> None:
    """Serve the API, the live feed, FHIR and the console over HTTP; on loopback unless told else.

    Settings: API_DB_DSN (needed), API_HOST, API_PORT and the rest of api/settings.py.
    """
    given = {"host": host, "port": port}
    settings = _load("api", ApiSettings, {k: v for k, v in given.items() if v is not None})

    def announce(address: str) -> None:
        line = json.dumps({"address": address}) if as_json else f"api: listening on {address}"
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    _run("api", serve(settings, utc_now, on_listening=announce))


@dispatcher_app.callback(invoke_without_command=True)
def run_dispatcher() -> None:
    """Number the outbox. Start two: one is elected, the other takes over when it dies.

    Settings: DISPATCHER_DB_DSN (needed) and the rest of api/settings.py.
    """
    _run("dispatcher", dispatch(_load("dispatcher", DispatcherSettings, {})))


@deliver_app.callback(invoke_without_command=True)
def run_deliverer() -> None:
    """Tell the feed to webhooks. Start two: one is elected, the other takes over when it dies.

    Settings: DELIVER_DB_DSN (needed) and the rest of api/webhooks/settings.py.
    """
    _run("deliver", deliver(_load("deliver", DeliverSettings, {}), utc_now))


@notify_app.callback(invoke_without_command=True)
def run_notifier() -> None:
    """Tell people about alerts that page. Start two: one is elected, the other takes over.

    Settings: NOTIFY_DB_DSN and one channel (needed), the rest of api/notify/settings.py.
    """
    settings = _load("notify", NotifySettings, {})
    try:
        channels = make_channels(settings)
    except (ValueError, OSError) as error:
        _end("notify", str(error), code=2)
    _run("notify", notify(settings, channels, utc_now))


def _load(process: str, model: type[SettingsT], given: dict[str, Any]) -> SettingsT:
    try:
        return model(**given)
    except ValidationError as error:
        prefix = str(model.model_config["env_prefix"])
        problems = []
        for problem in error.errors(include_url=False, include_input=False):
            name = prefix + "__".join(str(part) for part in problem["loc"]).upper() + ": "
            message = "is not set" if problem["type"] == "missing" else problem["msg"]
            message = message.removeprefix("Value error, ")
            problems.append(name + message if problem["loc"] else message)
        _end(process, "; ".join(problems), code=2)


def _run(process: str, work: Coroutine[Any, Any, None]) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(supervised(work))
    except Exception as error:  # noqa: BLE001 - the command's last word, whatever it was
        if not isinstance(error, _KNOWN):
            structlog.get_logger().error("ended by a fault of its own", exc_info=error)
        _end(process, f"{type(error).__name__}: {str(error).strip() or 'no further words'}", code=1)


def _end(process: str, message: str, *, code: int) -> NoReturn:
    typer.echo(f"{process}: {' '.join(message.split())}", err=True)
    raise typer.Exit(code)
