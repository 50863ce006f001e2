"""``suifang bench ingest|gateway|api``. Exit 0: measured; 1: could not be; 2: wrong usage."""

import json
import signal
import sys
from collections.abc import Callable
from typing import Annotated, Any, Final, NoReturn, TypeAlias

import typer

from deploy.bench.city.measure import measure_city
from deploy.bench.city.plan import CityPlan
from deploy.bench.display import Display
from deploy.bench.errors import BenchError
from deploy.bench.gateway import GatewayPlan, measure_gateway
from deploy.bench.ingest import run_steps
from deploy.bench.report import print_report
from deploy.bench.settings import PEERS, STEPS, BenchSettings
from deploy.embedded.errors import StackError
from deploy.embedded.stack import Stack
from gateway.wire.limits import READINGS_PER_BATCH_MAX
from gateway.wire.times import utc_now
from ingest.db.errors import DatabaseError
from simulators.load.packets import ProtocolError

app = typer.Typer(help="Measure speed and cost, everything on this machine.", no_args_is_help=True)
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells expect.
_READINGS_MAX: Final = 500_000  # The broker's queue (mosquitto.conf).
Keep: TypeAlias = Callable[[dict[str, Any]], None]
Measure: TypeAlias = Callable[[Display, Keep], dict[str, Any]]


@app.callback()
def bench() -> None:
    """Measure, with everything on this machine."""


Readings = Annotated[int, typer.Option(min=1, max=_READINGS_MAX, help="Of a turn.")]
BatchSize = Annotated[
    int, typer.Option(min=1, max=READINGS_PER_BATCH_MAX, help="Readings of a message.")
]
Gateways = Annotated[int, typer.Option(min=1, max=999)]
Residents = Annotated[int, typer.Option(min=1, max=1_000_000)]
Rounds = Annotated[int, typer.Option(min=1, help="Turns of each contender.")]
Peers = Annotated[bool, typer.Option("--peers", help="Beside all peers.")]
Peer = Annotated[
    list[str] | None, typer.Option(help=f"Beside one of {', '.join(PEERS)}; may be repeated.")
]
WithJudge = Annotated[bool, typer.Option("--with-judge", help="Once more with it running.")]
Step = Annotated[
    list[str] | None, typer.Option(help=f"One of {', '.join(STEPS)}, or all; may be repeated.")
]
Minutes = Annotated[float, typer.Option(min=0.05, help="Of the memory step.")]
Seconds = Annotated[float, typer.Option(min=1, help="Of the latency step.")]
LatencyRate = Annotated[int, typer.Option(min=1, help="Readings a second of the latency step.")]
Backlog = Annotated[int, typer.Option(min=1, help="Readings of the drain step.")]
LiveSeconds = Annotated[float, typer.Option(min=1, help="Live readings beside the drain.")]
HistoryRows = Annotated[int, typer.Option(min=1, help="Of the history step.")]
UnreceiptedMax = Annotated[
    int | None, typer.Option(min=1, help="Messages of a gateway without receipt; default: any.")
]
IngestSettings = Annotated[
    list[str] | None,
    typer.Option("--set", help="INGEST_...=VALUE instead of the shipped one; may be repeated."),
]
Spooled = Annotated[
    int, typer.Option(min=1, max=1_000_000, help="In its spool; beyond 20,000 ingest slows it.")
]
Seed = Annotated[int, typer.Option(min=0, help="Same seed, same values.")]
AsJson = Annotated[bool, typer.Option("--json", help="The report on stdout.")]


@app.command()
def ingest(
    *,
    readings: Readings = 300_000,
    batch_size: BatchSize = 1,
    gateways: Gateways = 200,
    residents: Residents = 100_000,
    rounds: Rounds = 3,
    peers: Peers = False,
    peer: Peer = None,
    with_judge: WithJudge = False,
    step: Step = None,
    minutes: Minutes = 10.0,
    seconds: Seconds = 60.0,
    latency_rate: LatencyRate = 2_000,
    backlog: Backlog = 2_000_000,
    live_seconds: LiveSeconds = 120.0,
    history_rows: HistoryRows = 50_000_000,
    unreceipted_max: UnreceiptedMax = None,
    ingest_setting: IngestSettings = None,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """Broker to committed and visible: readings a second, beside peers when asked for."""
    home = Stack.of_checkout().home
    settings = BenchSettings(
        home=home / "bench",
        checkout=home,
        readings=readings,
        batch_size=batch_size,
        gateways=gateways,
        residents=residents,
        rounds=rounds,
        peers=_chosen(peer, PEERS, "--peer") if not peers else PEERS,
        with_judge=with_judge,
        steps=_chosen(step or ["rate"], STEPS, "--step"),
        seed=seed,
        minutes=minutes,
        seconds=seconds,
        latency_rate=latency_rate,
        backlog=backlog,
        live_s_max=live_seconds,
        history_rows=history_rows,
        unreceipted_max=unreceipted_max,
        ingest=_pairs(ingest_setting or []),
    )
    _measure(
        settings,
        "bench.json",
        lambda display, keep: run_steps(settings, utc_now, display, keep),
        as_json=as_json,
    )


@app.command()
def gateway(
    *,
    readings: Annotated[
        int,
        typer.Option(min=1, max=1_000_000, help="In its spool; from 20,000 on ingest slows it."),
    ] = 20_000,
    rounds: Rounds = 3,
    minutes: Annotated[float, typer.Option(min=0.1, help="Of an ordinary day.")] = 3.0,
    as_json: AsJson = False,
) -> None:
    """The edge process: its start, how fast it drains, what it costs on an ordinary day."""
    home = Stack.of_checkout().home
    settings = BenchSettings(
        home=home / "bench", checkout=home, gateways=rounds + 1, residents=1_000
    )
    plan = GatewayPlan(readings=readings, rounds=rounds, minutes=minutes)
    _measure(
        settings,
        "gateway.json",
        lambda display, _keep: measure_gateway(settings, plan, utc_now, display),
        as_json=as_json,
    )


@app.command()
def api(
    *,
    residents: Annotated[int, typer.Option(min=1, max=10_000_000)] = 1_000_000,
    readings: Annotated[int, typer.Option(min=0, help="Of the last 24 months.")] = 50_000_000,
    cases: Annotated[int, typer.Option(min=1, help="At most one of a resident.")] = 300_000,
    connections: Annotated[int, typer.Option(min=1, help="That ask at once.")] = 16,
    seconds: Annotated[float, typer.Option(min=1, help="Of the mixed reads.")] = 30.0,
    listeners: Annotated[int, typer.Option(min=1, help="Idle on the live feed.")] = 2_000,
    processes: Annotated[int, typer.Option(min=1, help="Of the API.")] = 2,
    keep: Annotated[bool, typer.Option("--keep", help="The database, for the next run.")] = False,
    seed: Seed = 1,
    as_json: AsJson = False,
) -> None:
    """The API before a city's database: pages, requests a second, the feed's listeners."""
    if cases > residents:
        msg = f"{cases} cases of {residents} residents: at most one each"
        raise typer.BadParameter(msg, param_hint="--cases")
    home = Stack.of_checkout().home
    settings = BenchSettings(home=home / "bench", checkout=home, seed=seed)
    plan = CityPlan(
        residents=residents,
        readings=readings,
        cases=cases,
        connections=connections,
        seconds=seconds,
        listeners=listeners,
        processes=processes,
        keep=keep,
    )
    _measure(
        settings,
        "api.json",
        lambda display, _keep: measure_city(settings, plan, utc_now, display),
        as_json=as_json,
    )


def _measure(settings: BenchSettings, name: str, measure: Measure, *, as_json: bool) -> None:
    path = settings.home / name

    def keep(report: dict[str, Any]) -> None:
        path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")

    # As Ctrl-C does: every process is ended, then the stack.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        report = measure(Display(), keep)
    except (BenchError, ProtocolError, StackError, DatabaseError) as error:
        _fail(str(error))
    except KeyboardInterrupt:
        raise typer.Exit(_INTERRUPTED) from None
    keep(report)
    if as_json:
        sys.stdout.write(json.dumps(report, indent=1) + "\n")
    else:
        print_report(report)
    sys.stderr.write(f"bench: report: {path}\n")


def _chosen(given: list[str] | None, known: tuple[str, ...], option: str) -> tuple[str, ...]:
    """What was asked for, in our order. Wrong usage names what there is."""
    wanted = set(known) if given and "all" in given else set(given or ())
    if strange := sorted(wanted - set(known)):
        msg = f"there is no {strange[0]!r}; choose from {', '.join(known)}"
        raise typer.BadParameter(msg, param_hint=option)
    return tuple(name for name in known if name in wanted)


def _pairs(given: list[str]) -> dict[str, str]:
    for each in given:
        if not each.startswith("INGEST_") or "=" not in each:
            msg = f"{each!r} is not INGEST_NAME=VALUE, such as INGEST_BATCH__MESSAGES_MAX=4000"
            raise typer.BadParameter(msg, param_hint="--set")
    return {name: value for name, _, value in (each.partition("=") for each in given)}


def _fail(problem: str, *, code: int = 1) -> NoReturn:
    sys.stderr.write(f"suifang bench: {problem}\n")
    raise typer.Exit(code)
