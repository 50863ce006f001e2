"""Commands: ``suifang simulate`` replay, fleet, terminals, people; ``suifang reconcile``.

Exit codes: 0 done (reconcile: everything agrees), 1 it failed (reconcile: a difference),
2 the command line is wrong.
"""

import asyncio
import json
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer

from gateway.wire.times import utc_now
from gateway.wire.topics import NAME_PATTERN
from simulators.display import describe, live_line, print_report
from simulators.errors import RecordingError, SimulatorError
from simulators.fleet import FleetPlan, run_fleet
from simulators.ledger import Ledger
from simulators.people.cli import show_people
from simulators.reconcile import reconcile
from simulators.recordings import builtin_recording, read_recording
from simulators.replay import plan_replay, run_replay
from simulators.sites import sites_of
from simulators.tally import Tally
from simulators.terminals.cli import run_terminals
from simulators.terminals.tcp import Address

app = typer.Typer(no_args_is_help=True, help="Virtual terminals that speak to real gateways.")
app.command("terminals")(run_terminals)
app.command("people")(show_people)
reconcile_app = typer.Typer(help="Prove that no reading was lost or counted twice.")

_GATEWAY: Final = re.compile(
    rf"(?:(?P<id>{NAME_PATTERN})=)?(?P<host>[^=\s]+):(?P<port>\d{{1,5}})", re.ASCII
)
_PORT_MAX: Final = 65_535
_HOW_TO_START: Final = (
    "name a running gateway: --gateway [ID=]HOST:PORT. `suifang gateway` starts one and prints "
    "its address for terminals; `make demo` starts everything"
)
Gateways = Annotated[
    list[str] | None,
    typer.Option("--gateway", help="[ID=]HOST:PORT of a gateway's terminal port; may be repeated."),
]
LedgerPath = Annotated[Path, typer.Option("--ledger", help="New file: what was truly sent.")]
AsJson = Annotated[bool, typer.Option("--json", help="Report as JSON on stdout.")]


@app.command()
def replay(
    file: Annotated[
        Path | None, typer.Argument(help="CSV, NDJSON, Parquet, FHIR bundles (file or folder).")
    ] = None,
    *,
    ledger: LedgerPath,
    gateway: Gateways = None,
    builtin: Annotated[bool, typer.Option("--builtin", help="The real readings shipped.")] = False,
    rate: Annotated[float | None, typer.Option(help="Readings/s; default: as taken.")] = None,
    speed: Annotated[
        float | None, typer.Option(help="Times as fast as measured; 1: the original pace.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Send nothing new after this.")] = None,
    limit: Annotated[int | None, typer.Option(help="Send that many, the oldest first.")] = None,
    dirty: Annotated[bool, typer.Option(help="Also send the rows that are wrong.")] = True,
    as_json: AsJson = False,
) -> None:
    """Play real readings again, moved so that each resident's last was yesterday."""
    if (file is None) is not builtin:
        _refuse("give a recording FILE or --builtin, one of them")
    if rate is not None and speed is not None:
        _refuse("--rate and --speed exclude each other")
    _require_positive(rate=rate, speed=speed, seconds=seconds, limit=limit)
    gateways = _parse_gateways(gateway)
    try:
        recording = builtin_recording() if file is None else read_recording(file, _say)
    except RecordingError as error:
        _refuse(str(error))
    plan = plan_replay(
        utc_now(),
        recording,
        sites_of(list(gateways)),
        dirty=dirty,
        limit=limit,
        rate_per_s=rate,
        speed=speed,
    )
    _require_reachable(gateways)
    with _FailingClearly(), live_line("replay") as on_progress, Ledger(ledger) as book:
        run = run_replay(
            plan, gateways, book, clock=utc_now, stop_after_s=seconds, on_progress=on_progress
        )
        tally = asyncio.run(run)
    _report(tally, ledger, as_json=as_json)


@app.command()
def fleet(
    *,
    ledger: LedgerPath,
    gateway: Gateways = None,
    centres: Annotated[int, typer.Option(min=1, help="Community health centres.")] = 1,
    terminals: Annotated[int, typer.Option(min=1, help="Terminals in each centre.")] = 4,
    rate: Annotated[float, typer.Option(help="Readings a second in all.")] = 10.0,
    seconds: Annotated[float, typer.Option(help="For how long.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same people and values.")] = 1,
    emergencies: Annotated[float, typer.Option(min=0, max=1, help="Their share.")] = 0.01,
    as_json: AsJson = False,
) -> None:
    """Run live terminals at a given rate; centres share gateways when there are fewer of them."""
    _require_positive(rate=rate, seconds=seconds)
    gateways = _parse_gateways(gateway)
    plan = FleetPlan(
        terminals=centres * terminals,
        rate_per_s=rate,
        duration_s=seconds,
        seed=seed,
        emergency_rate=emergencies,
        rehearsal=f"{utc_now():%Y%m%dT%H%M%S}",
    )
    sites = sites_of(list(gateways), min(centres, len(gateways)))
    _require_reachable(gateways)
    with _FailingClearly(), live_line("fleet") as on_progress, Ledger(ledger) as book:
        run = run_fleet(plan, sites, gateways, book, clock=utc_now, on_progress=on_progress)
        tally = asyncio.run(run)
    _report(tally, ledger, as_json=as_json)


@reconcile_app.command()
def compare(
    *,
    ledger: Annotated[list[Path], typer.Option("--ledger", help="Ledger of a run; repeat.")],
    spool: Annotated[
        list[Path] | None, typer.Option("--spool", help="Spool of a gateway; repeat.")
    ] = None,
    database: Annotated[
        str, typer.Option("--database", envvar="SUIFANG_DB_DSN", help="Connection string.")
    ],
    as_json: AsJson = False,
) -> None:
    """Compare ledgers, gateway spools and the database; exit 1 on any difference.

    The ledger of a rehearsal also says what was truly measured: then everybody is judged again.
    """
    with _FailingClearly():
        report = reconcile(ledger, spool or [], database)
    if as_json:
        typer.echo(json.dumps(report.as_dict(), indent=2))
    else:
        print_report(report)
    raise typer.Exit(0 if report.agrees else 1)


class _FailingClearly:
    """Turns a problem of the world into one line on stderr and exit 1."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, SimulatorError):
            typer.echo(f"suifang: {error}", err=True)
            raise typer.Exit(1) from error


def _say(text: str) -> None:
    typer.echo(f"suifang: {text}", err=True)


def _refuse(problem: str) -> NoReturn:
    typer.echo(f"suifang: {problem}", err=True)
    raise typer.Exit(2)


def _require_positive(**options: float | None) -> None:
    for name, value in options.items():
        if value is not None and not 0 < value < float("inf"):
            _refuse(f"--{name} must be above 0")


def _parse_gateways(texts: list[str] | None) -> dict[str, Address]:
    """Read ``[ID=]HOST:PORT``; without an id the n-th is called ``gateway-n``."""
    if not texts:
        _refuse(_HOW_TO_START)
    gateways: dict[str, Address] = {}
    for number, text in enumerate(texts, start=1):
        found = _GATEWAY.fullmatch(text)
        if found is None or not 1 <= int(found["port"]) <= _PORT_MAX:
            _refuse(f"--gateway {text!r} is not [ID=]HOST:PORT, such as gateway-1=127.0.0.1:7700")
        name = found["id"] or f"gateway-{number}"
        if name in gateways:
            _refuse(f"--gateway names {name} twice")
        gateways[name] = (found["host"].strip("[]"), int(found["port"]))
    return gateways


def _require_reachable(gateways: Mapping[str, Address]) -> None:
    for name, address in gateways.items():
        try:
            socket.create_connection(address, timeout=5).close()
        except OSError as error:
            problem = f"gateway {name} at {address[0]}:{address[1]}: {error.strerror or error}"
            typer.echo(f"suifang: {problem}; {_HOW_TO_START}", err=True)
            raise typer.Exit(1) from error


def _report(tally: Tally, ledger: Path, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(tally.as_dict() | {"ledger": str(ledger)}, indent=2))
    else:
        typer.echo(f"{describe(tally)}; ledger {ledger}")
    if tally.unanswered:
        typer.echo(f"suifang: {tally.unanswered} readings were not answered in time", err=True)
        raise typer.Exit(1)
