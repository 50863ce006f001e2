"""``suifang simulate load``: on a deployment's broker, or on a private stack with all processes."""

from contextlib import nullcontext

from simulators.load.cli import (
    P99,
    TERMINALS_PER_GATEWAY,
    AsJson,
    Authority,
    Broker,
    Emergencies,
    FindCapacity,
    Gateways,
    GatewaysFile,
    KeyFile,
    LedgerFile,
    NoLedger,
    NoReceipts,
    Rate,
    ReplayFile,
    ReportFolder,
    Residents,
    Seconds,
    Seed,
    Speed,
    Terminals,
    Tls,
    WatchOption,
    check_options,
    conduct,
    open_deployment,
    open_replay,
    refuse,
)
from simulators.load.display import load_display
from simulators.load.plan import LoadPlan


def load(
    *,
    gateways: Gateways = 100,
    terminals: Terminals = None,
    rate: Rate = 500.0,
    seconds: Seconds = 30.0,
    residents: Residents = 20_000,
    seed: Seed = 1,
    emergencies: Emergencies = 0.01,
    find_capacity: FindCapacity = False,
    p99_ms: P99 = 1_000.0,
    report: ReportFolder = None,
    ledger: LedgerFile = None,
    no_ledger: NoLedger = False,
    no_receipts: NoReceipts = False,
    broker: Broker = None,
    gateways_file: GatewaysFile = None,
    authority: Authority = None,
    watch: WatchOption = None,
    tls: Tls = False,
    replay: ReplayFile = None,
    speed: Speed = None,
    key: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Thousands of gateways from one process, each reading at its time; then a report."""
    target = None
    if broker is not None:
        if tls:
            refuse("--tls is of the private stack; with --broker give --ca")
        target = open_deployment(broker, gateways_file, authority, watch, receipts=not no_receipts)
        gateways = len(target.sites)
    elif gateways_file is not None or authority is not None or watch:
        refuse("--gateways-file, --ca and --watch go with --broker HOST:PORT")
    plan = LoadPlan(
        gateways=gateways,
        terminals=TERMINALS_PER_GATEWAY * gateways if terminals is None else terminals,
        rate_per_s=rate,
        duration_s=seconds,
        residents=residents,
        seed=seed,
        emergency_rate=emergencies,
    )
    wanted = check_options(
        plan,
        report=report,
        ledger=ledger,
        no_ledger=no_ledger,
        capacity=find_capacity,
        p99_ms=p99_ms,
        as_json=as_json,
        replay=open_replay(replay, speed, key, own_key=target is None),
    )
    with load_display() as display:
        if target is not None:
            conduct(wanted, nullcontext(target), display=display)
        from deploy.load.private import PrivateStack  # noqa: PLC0415 - only where it is needed

        private = PrivateStack(wanted.plan, display.say, tls=tls, with_receipts=not no_receipts)
        conduct(wanted, private.opened(), display=display, judge=private.judge)
