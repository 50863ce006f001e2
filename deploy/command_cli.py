"""``suifang command``: tell a gateway something, and see what became of it.

Exit 0: done. 1: refused, failed, or no answer in time. 2: wrong command line.
"""

import json
import os
import ssl
from collections.abc import Mapping
from datetime import UTC, timedelta
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import typer
from pydantic import ValidationError

from deploy.command_sender import BrokerAccess, CommandSender, SendingError
from gateway.wire.commands import Command, CommandName, ResendArguments
from gateway.wire.ids import new_id
from gateway.wire.status import CommandResult, Status
from gateway.wire.times import parse_instant, utc_now
from gateway.wire.topics import Topic

app = typer.Typer(
    name="command",
    no_args_is_help=True,
    help="Tell a gateway something. The broker's user is `operator`; its password comes from"
    " COMMAND_BROKER_PASSWORD, or the file COMMAND_BROKER_PASSWORD_FILE.",
)

_Gateway = Annotated[str, typer.Argument(help="The gateway's id.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_SECRET_BYTES_MAX: Final = 4_096
_WRONG_USAGE: Final = 2
_QUIET_S: Final = 1.0  # The broker sends what it has kept in one go.


@app.callback()
def options(
    context: typer.Context,
    *,
    host: Annotated[str, typer.Option(envvar="COMMAND_BROKER_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="COMMAND_BROKER_PORT", min=1, max=65_535)] = 1883,
    user: Annotated[str, typer.Option(envvar="COMMAND_BROKER_USER")] = "operator",
    ca_file: Annotated[
        Path | None, typer.Option(envvar="COMMAND_BROKER_CA_FILE", help="Use TLS; trust this.")
    ] = None,
    certificate_file: Annotated[
        Path | None,
        typer.Option(
            envvar="COMMAND_BROKER_CERTIFICATE_FILE", help="Certificate and key, CN operator."
        ),
    ] = None,
    centre: Annotated[
        str | None, typer.Option(help="The gateway's centre [else: as its last status says].")
    ] = None,
    wait_s: Annotated[float, typer.Option(help="How long to wait for the answer.", min=0)] = 30,
    expires_s: Annotated[int, typer.Option(help="How long it may be carried out.", min=1)] = 3_600,
) -> None:
    """Where the broker is; these options come before the command."""
    context.obj = {
        "access": (host, port, user, ca_file, certificate_file),
        "centre": centre,
        "wait_s": wait_s,
        "expires_s": expires_s,
    }


@app.command("list")
def list_gateways(
    context: typer.Context,
    *,
    only_problems: Annotated[
        bool, typer.Option("--problems", help="Those offline, or with something to look at.")
    ] = False,
    as_json: _Json = False,
) -> None:
    """Show every gateway as its last status says; commands nothing."""
    given = context.obj
    try:
        with CommandSender(_access(*given["access"]), "+", given["centre"], utc_now) as sender:
            found = sender.collect(quiet_s=_QUIET_S, within_s=given["wait_s"])
    except SendingError as error:
        _fail(str(error), 1)
    rows = [row for row in found if not only_problems or not row[1].online or row[1].problems]
    if as_json:
        typer.echo(json.dumps([_as_dict(*row) for row in rows], ensure_ascii=False))
        return
    for topic, status in rows:
        spool = status.spool
        waiting = "" if spool is None else f"{spool.rows:>9,} wait"
        said = "-" if status.at is None else status.at.astimezone().strftime("%m-%d %H:%M:%S")
        online = "online " if status.online else "OFFLINE"
        name = f"{topic.centre}/{topic.gateway}"
        typer.echo(f"{name:40} {online} {said:14} {waiting:14} {', '.join(status.problems)}")
    typer.echo(f"{len(found)} gateways, {sum(status.online for _, status in found)} online")


def _as_dict(topic: Topic, status: Status) -> dict[str, Any]:
    said = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {"centre": topic.centre, "gateway": topic.gateway, "status": said}


@app.command("report-status")
def report_status(context: typer.Context, gateway: _Gateway, *, as_json: _Json = False) -> None:
    """Have the gateway publish its status now."""
    _tell(context, gateway, CommandName.REPORT_STATUS, {}, as_json=as_json)


@app.command("sync-time")
def sync_time(context: typer.Context, gateway: _Gateway, *, as_json: _Json = False) -> None:
    """Have it look at its clock again, and tell how far it and its devices may be off."""
    _tell(context, gateway, CommandName.SYNC_TIME, {}, as_json=as_json)


@app.command("rotate-log")
def rotate_log(context: typer.Context, gateway: _Gateway, *, as_json: _Json = False) -> None:
    """Have it put its log file aside and begin a new one."""
    _tell(context, gateway, CommandName.ROTATE_LOG, {}, as_json=as_json)


@app.command("resend")
def resend(
    context: typer.Context,
    gateway: _Gateway,
    *,
    batch: Annotated[list[str] | None, typer.Option(help="A batch's id; may be repeated.")] = None,
    reading: Annotated[list[str] | None, typer.Option(help="A reading's id, likewise.")] = None,
    captured_from: Annotated[
        str | None, typer.Option("--from", help="2026-03-02T09:00:00+08:00")
    ] = None,
    captured_to: Annotated[str | None, typer.Option("--to", help="Inclusive.")] = None,
    as_json: _Json = False,
) -> None:
    """Have it send again, now, what still waits for a receipt; all of it when nothing is named.

    What has left its spool was confirmed by ingest, and cannot be sent again.
    """
    try:
        arguments = ResendArguments.model_validate(
            {
                "batches": batch or [],
                "readings": reading or [],
                "captured_from": parse_instant(captured_from) if captured_from else None,
                "captured_to": parse_instant(captured_to) if captured_to else None,
            }
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        _fail(f"{first['loc'][0]}: {first['msg']}", _WRONG_USAGE)
    except ValueError as error:
        _fail(str(error), _WRONG_USAGE)
    given = arguments.model_dump(mode="json", exclude_defaults=True)
    _tell(context, gateway, CommandName.RESEND, given, as_json=as_json)


def _tell(
    context: typer.Context,
    gateway: str,
    name: CommandName,
    arguments: dict[str, Any],
    *,
    as_json: bool,
) -> None:
    given = context.obj
    now = utc_now()
    command = Command(
        id=new_id(now),
        command=name,
        issued_at=now,
        expires_at=now + timedelta(seconds=given["expires_s"]),
        arguments=arguments,
    )
    try:
        access = _access(*given["access"])
        with CommandSender(access, gateway, given["centre"], utc_now) as sender:
            result = sender.send(command, wait_s=given["wait_s"])
    except SendingError as error:
        _fail(str(error), 1)
    _show(command, result, as_json=as_json)
    if result is None or result.outcome != "done":
        raise typer.Exit(1)


def _access(
    host: str, port: int, user: str, ca_file: Path | None, certificate_file: Path | None
) -> BrokerAccess:
    tls = None
    if ca_file is not None:
        try:
            tls = ssl.create_default_context(cafile=ca_file)
            if certificate_file is not None:
                tls.load_cert_chain(certificate_file)
        except OSError as error:
            msg = f"{ca_file} or {certificate_file} cannot be used: {error}. Name PEM files"
            raise SendingError(msg) from error
    return BrokerAccess(host=host, port=port, user=user, password=_password(os.environ), tls=tls)


def _password(environment: Mapping[str, str]) -> str | None:
    file = environment.get("COMMAND_BROKER_PASSWORD_FILE", "")
    if not file:
        return environment.get("COMMAND_BROKER_PASSWORD")
    try:
        with Path(file).open("rb") as opened:
            return opened.read(_SECRET_BYTES_MAX).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"COMMAND_BROKER_PASSWORD_FILE {file} cannot be read: {error}"
        raise SendingError(msg) from error


def _show(command: Command, result: CommandResult | None, *, as_json: bool) -> None:
    if as_json:
        told = None if result is None else result.model_dump(mode="json")
        typer.echo(json.dumps({"id": str(command.id), "result": told}, ensure_ascii=False))
        return
    if result is None:
        until = command.expires_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        typer.echo(
            f"no answer yet: the broker keeps command {command.id} for the gateway until {until}."
            " Its answer will stand in the gateway's status"
        )
        return
    figures = ", ".join(f"{name} {value}" for name, value in result.figures.items())
    outcome = " ".join(filter(None, (result.outcome, result.code)))
    typer.echo(": ".join(filter(None, (outcome, result.detail, figures))))


def _fail(problem: str, code: int) -> NoReturn:
    typer.echo(f"suifang command: {problem}", err=True)
    raise typer.Exit(code)
