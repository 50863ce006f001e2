"""``suifang simulate load``: its options, and what it leaves behind.

Exit codes: 0 everything has a receipt and reconciles; 1 it does not, or the run is partial; 2 the
command line is wrong; 130 stopped. The report is written in every case but 2.
"""

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, TypeAlias

import typer

from gateway.errors import SettingsError
from gateway.identity import load_key
from gateway.wire.times import utc_now
from simulators.errors import LoadError, RecordingError, SimulatorError
from simulators.load.capacity import Bound, Capacity, Search
from simulators.load.conduct import Conductor, conducting, machine_facts
from simulators.load.display import LoadDisplay
from simulators.load.fleet import LoadRun
from simulators.load.plan import LoadPlan, Outgoing
from simulators.load.replaying import RecordedTraffic
from simulators.load.reporting import add_capacity, add_checks, describe_load
from simulators.load.sampling import watch_processes
from simulators.load.target import Target, read_gateways
from simulators.recordings import RecordedReading, builtin_recording, read_recording
from simulators.replay import plan_replay
from simulators.report.model import Check, Report, Words, english
from simulators.report.writing import write_report

TERMINALS_PER_GATEWAY: Final = 4
_PRIVATE_KEY: Final = b"suifang load: pseudonyms of a private stack"
_STOPPED: Final = 130  # 128 + SIGINT, as shells expect.
_PORT_MAX: Final = 65_535
_TITLE: Final = Words("Load", "负载")
_CAPACITY: Final = Words("Capacity", "容量")

Gateways = Annotated[int, typer.Option(min=1, max=60_000, help="One connection each.")]
Terminals = Annotated[int | None, typer.Option(min=1, help="In all; default: 4 a gateway.")]
Rate = Annotated[float, typer.Option(help="Readings a second; the first with --find-capacity.")]
Seconds = Annotated[float, typer.Option(help="For how long; of a step with --find-capacity.")]
Residents = Annotated[int, typer.Option(min=1, max=2_000_000, help="Measured at random.")]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same people, times and values.")]
Emergencies = Annotated[float, typer.Option(min=0, max=1, help="Their share.")]
ReportFolder = Annotated[
    Path | None, typer.Option("--report", help="Folder of the report; default: load-TIME here.")
]
LedgerFile = Annotated[
    Path | None, typer.Option("--ledger", help="New file; default: ledger.ndjson of the report.")
]
NoLedger = Annotated[bool, typer.Option("--no-ledger", help="For a soak: 160 bytes a reading.")]
FindCapacity = Annotated[
    bool, typer.Option("--find-capacity", help="Raise the rate until it is not carried.")
]
P99 = Annotated[float, typer.Option("--p99-ms", help="Bound from due to stored, of a step.")]
Broker = Annotated[
    str | None, typer.Option(help="HOST:PORT of a deployment; without it a private stack.")
]
GatewaysFile = Annotated[
    Path | None,
    typer.Option(help="CSV gateway,centre and password or certificate; mode 600. With --broker."),
]
Authority = Annotated[Path | None, typer.Option("--ca", help="Who signed the broker: TLS.")]
WatchOption = Annotated[
    list[str] | None,
    typer.Option("--watch", help="NAME=PID of a process behind the broker; may be repeated."),
]
Tls = Annotated[bool, typer.Option("--tls", help="Private stack: a certificate a gateway.")]
ReplayFile = Annotated[
    str | None,
    typer.Option(
        "--replay", help="A recording instead: CSV, NDJSON, Parquet, FHIR bundles, or `builtin`."
    ),
]
Speed = Annotated[
    float | None, typer.Option(help="Of --replay: times as fast as measured; default: at once.")
]
KeyFile = Annotated[
    Path | None, typer.Option("--key", help="Of --replay with --broker: the pseudonym key's file.")
]
NoReceipts = Annotated[
    bool,
    typer.Option("--no-receipts", help="The broker alone: counts PUBACKs; nothing is stored."),
]
AsJson = Annotated[bool, typer.Option("--json", help="The report's JSON twin on stdout.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A recording to play.

    Attributes:
        readings: Of the recording.
        speed: Times as fast as measured; None: as fast as possible.
        key: Makes pseudonyms of the recording's codes.
    """

    readings: Sequence[RecordedReading]
    speed: float | None
    key: bytes


Judge: TypeAlias = Callable[[LoadRun, Path | None], Sequence[Check]]
"""Says what the database made of the ledger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The command line, checked."""

    plan: LoadPlan
    folder: Path
    ledger: Path | None
    bound: Bound | None  # With --find-capacity.
    replay: Replay | None  # Instead of made-up readings.
    as_json: bool


def refuse(problem: str) -> NoReturn:
    """A wrong command line: one line, exit 2."""
    typer.echo(f"suifang simulate load: {problem}", err=True)
    raise typer.Exit(2)


def check_options(  # one parameter an option
    plan: LoadPlan,
    *,
    report: Path | None,
    ledger: Path | None,
    no_ledger: bool,
    capacity: bool,
    p99_ms: float,
    as_json: bool,
    replay: Replay | None,
) -> Wanted:
    """Refuse what cannot be; fill in what was left out."""
    for name, value in (
        ("rate", plan.rate_per_s),
        ("seconds", plan.duration_s),
        ("p99-ms", p99_ms),
    ):
        if not 0 < value < float("inf"):
            refuse(f"--{name} must be above 0")
    if plan.terminals < plan.gateways:
        refuse(f"--terminals {plan.terminals} are fewer than --gateways {plan.gateways}")
    if capacity and replay is not None:
        refuse("--find-capacity draws its own readings: leave --replay out")
    if no_ledger and ledger is not None:
        refuse("--ledger and --no-ledger exclude each other")
    now = utc_now()
    folder = report or Path(f"load-{now:%Y%m%dT%H%M%SZ}")
    book = None if no_ledger else ledger or folder / "ledger.ndjson"
    if book is not None and book.exists():
        refuse(
            f"the ledger {book} exists already and is one run's: name a new --report or --ledger"
        )
    try:  # A load that cannot tell what came of it need not begin.
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse(f"--report {folder} cannot be a folder: {error.strerror}; name another")
    return Wanted(
        plan=replace(plan, rehearsal=f"{now:%Y%m%dT%H%M%S%f}"),
        folder=folder,
        ledger=book,
        bound=Bound(p99_ms=p99_ms) if capacity else None,
        as_json=as_json,
        replay=replay,
    )


def open_replay(
    replay: str | None, speed: float | None, key: Path | None, *, own_key: bool
) -> Replay | None:
    """Read the recording; with ``own_key`` any key will do. Exits 2 when something is amiss."""
    if replay is None:
        if speed is not None or key is not None:
            refuse("--speed and --key go with --replay")
        return None
    if speed is not None and not 0 < speed < float("inf"):
        refuse("--speed must be above 0")
    if own_key is (key is not None):
        refuse("--key is of a deployment (--broker): with one it is needed, else it is not")
    try:
        secret = _PRIVATE_KEY if key is None else load_key(key)
        if replay == "builtin":
            readings = builtin_recording()
        else:
            readings = read_recording(Path(replay), lambda text: typer.echo(text, err=True))
    except (RecordingError, SettingsError) as error:
        refuse(str(error))
    return Replay(readings=readings, speed=speed, key=secret)


def open_deployment(
    broker: str,
    gateways_file: Path | None,
    authority: Path | None,
    watch: Sequence[str] | None,
    *,
    receipts: bool = True,
) -> Target:
    """A deployment's broker and gateways. Exits 2 when they are not named, or not readable."""
    host, _, port = broker.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) <= _PORT_MAX:
        refuse(f"--broker {broker!r} is not HOST:PORT, such as 127.0.0.1:1883")
    if gateways_file is None:
        refuse("--broker needs --gateways-file: who comes to it, and with what password")
    pids: dict[str, int] = {}
    for text in watch or ():
        name, _, pid = text.partition("=")
        if not name or not pid.isdigit() or not Path(f"/proc/{pid}").exists():
            refuse(f"--watch {text!r} is not NAME=PID of a running process, such as ingest=4711")
        pids[name] = int(pid)
    try:
        found = read_gateways(gateways_file, host=host.strip("[]"), authority=authority)
    except LoadError as error:
        refuse(str(error))
    return Target(
        host=host.strip("[]"),
        port=int(port),
        sites=[site for site, _ in found],
        logins=[login for _, login in found],
        watch=watch_processes(pids),
        with_receipts=receipts,
    )


def conduct(
    wanted: Wanted,
    opening: AbstractContextManager[Target],
    *,
    display: LoadDisplay,
    judge: Judge | None = None,
) -> NoReturn:
    """Run it, write the report, say where it is, and exit.

    Args:
        wanted: The command line.
        opening: Opens the target; closing it ends what it started.
        display: Where it is shown.
        judge: Compares ledger and database afterwards, if one can.
    """
    started_at, conducted = utc_now(), _Conducted()
    # As Ctrl-C does, from the very beginning: every process is ended, then the stack.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with opening as target:
            with conducting(
                target, clock=utc_now, display=display, ledger=wanted.ledger
            ) as conductor:
                conducted.go(conductor, wanted)
            if judge is not None:
                conducted.checks = judge(conducted.run, wanted.ledger)
    except SimulatorError as error:
        conducted.run.partial = conducted.run.partial or str(error)
    except KeyboardInterrupt:
        conducted.run.partial = conducted.run.partial or "stopped"
        conducted.stopped = True
    report = conducted.describe(wanted, started_at, utc_now())
    _tell(report, wanted, conducted)


class _Conducted:
    """What came of it so far."""

    def __init__(self) -> None:
        self.run = LoadRun()
        self.search: Search | None = None
        self.capacity: Capacity | None = None
        self.checks: Sequence[Check] = ()
        self.stopped = False

    def go(self, conductor: Conductor, wanted: Wanted) -> None:
        """Play the plan, or search."""
        if wanted.replay is not None:
            self.run = conductor.send(_replayed(conductor, wanted.replay), "replay")
        elif wanted.bound is None:
            plan = wanted.plan
            title = f"{plan.gateways:,} gateways, {plan.rate_per_s:,.0f} readings/s"
            self.run = conductor.play(plan, title)
        else:
            self.capacity, self.run = conductor.find_capacity(
                wanted.plan, wanted.bound, self._note_step
            )
        self.stopped = conductor.interrupts.why is not None

    def _note_step(self, search: Search, run: LoadRun) -> None:
        self.search, self.run = search, run

    def describe(self, wanted: Wanted, started_at: datetime, ended_at: datetime) -> Report:
        """The report of it."""
        data: dict[str, Any] = {"plan": wanted.plan.as_dict(), "machine": dict(machine_facts())}
        if wanted.ledger is not None:
            data["ledger"] = str(wanted.ledger)
        report = describe_load(
            _TITLE if wanted.bound is None else _CAPACITY,
            self.run,
            started_at=started_at,
            ended_at=ended_at,
            data=data,
        )
        if self.search is not None and self.capacity is not None:
            report = add_capacity(
                report,
                self.capacity,
                self.search.steps,
                with_receipts=self.run.counts.with_receipts,
            )
        return add_checks(report, self.checks)


def _replayed(conductor: Conductor, replay: Replay) -> Iterator[Outgoing]:
    """Planned before it begins: planning costs more than sending."""
    sites = conductor.target.sites
    planned = plan_replay(conductor.clock(), replay.readings, sites, speed=replay.speed)
    traffic = RecordedTraffic(planned, sites, key=replay.key, clock=conductor.clock)

    def messages() -> Iterator[Outgoing]:
        yield from traffic.messages()
        if traffic.refused:
            conductor.display.say(f"not sent: {traffic.refused:,} that a gateway would refuse")

    return messages()


def _tell(report: Report, wanted: Wanted, conducted: _Conducted) -> NoReturn:
    try:
        written = write_report(report, wanted.folder)
    except SimulatorError as error:
        typer.echo(f"suifang simulate load: {error}", err=True)
        raise typer.Exit(1) from error
    if wanted.as_json:
        sys.stdout.write(json.dumps(report.as_dict(), ensure_ascii=False) + "\n")
    else:
        for line in _lines(report, conducted):
            typer.echo(line)
    typer.echo(f"report: {written.page}", err=True)
    if report.partial is not None:
        typer.echo(f"suifang simulate load: partial: {report.partial}", err=True)
    if conducted.stopped:
        raise typer.Exit(_STOPPED)
    raise typer.Exit(0 if report.passed else 1)


def _lines(report: Report, conducted: _Conducted) -> list[str]:
    facts: Mapping[str, Any] = report.as_dict()
    lines = [f"{each['name']}: {each['value']} {each['unit']}" for each in facts["figures"]]
    lines += [
        f"{'ok' if each['passed'] else 'NOT'}: {each['name']} ({each['detail']})"
        for each in facts["checks"]
    ]
    if conducted.capacity is not None:
        lines.append(english(conducted.capacity.words))
    return lines
