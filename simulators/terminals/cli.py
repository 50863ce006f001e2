"""``suifang simulate terminals``: a room of virtual Bluetooth devices that a gateway can join.

It prints what to set for the gateway, then runs until it is stopped. Exit 0: stopped, 1: it
could not listen, 2: the command line is wrong.
"""

import asyncio
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from gateway.wire.times import utc_now
from simulators.errors import RadioError
from simulators.terminals.plan import RoomPlan

if TYPE_CHECKING:
    from simulators.terminals.room import Room

_PORT_MAX = 65_535


def run_terminals(
    *,
    listen: Annotated[str, typer.Option(help="HOST:PORT for gateways to join.")] = "127.0.0.1:0",
    cuffs: Annotated[int, typer.Option(min=0, max=100, help="Blood-pressure cuffs.")] = 1,
    meters: Annotated[int, typer.Option(min=0, max=100, help="Glucose meters.")] = 1,
    records: Annotated[int, typer.Option(min=0, max=5_000, help="Stored in each.")] = 20,
    live_every: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds between live measurements.")
    ] = None,
    secured: Annotated[bool, typer.Option(help="A client has to pair.")] = False,
    clock_off: Annotated[int, typer.Option(help="Seconds their clocks are wrong.")] = 0,
    break_after: Annotated[
        list[int] | None,
        typer.Option(min=0, help="Lose the link after so many notifications; repeat: the next."),
    ] = None,
    abort_after: Annotated[
        int | None, typer.Option(min=0, help="A meter gives up after so many records, once.")
    ] = None,
    pause_ms: Annotated[int, typer.Option(min=0, help="Between two notifications.")] = 0,
    malformed: Annotated[bool, typer.Option(help="Unreadable bytes among the rest.")] = False,
    late_contexts: Annotated[bool, typer.Option(help="Meals are told late.")] = False,
    reset_after: Annotated[
        float | None, typer.Option(min=0.1, help="Change the meters' batteries after seconds.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same values.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines on stdout.")] = False,
) -> None:
    """Run virtual Bluetooth cuffs and meters; a gateway joins by TCP instead of by radio."""
    plan = RoomPlan(
        cuffs=cuffs,
        meters=meters,
        records=records,
        seed=seed,
        secured=secured,
        clock_off_s=clock_off,
        break_after=tuple(break_after or ()),
        abort_after=abort_after,
        pause_ms=pause_ms,
        malformed=malformed,
        late_contexts=late_contexts,
        live_every_s=live_every,
        reset_after_s=reset_after,
    )
    host, _, port = listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > _PORT_MAX:
        typer.echo(f"suifang: --listen {listen!r} is not HOST:PORT", err=True)
        raise typer.Exit(2)
    from simulators.terminals.room import Room  # noqa: PLC0415 - half a second of radio

    room = Room(plan, utc_now)
    try:
        asyncio.run(_run(room, (host, int(port)), seconds, as_json=as_json))
    except RadioError as error:
        typer.echo(f"suifang: {error}", err=True)
        raise typer.Exit(1) from error
    if as_json:
        typer.echo(json.dumps({"devices": room.report()}))
    else:
        Console().print(_table(room))


async def _run(
    room: "Room", address: tuple[str, int], seconds: float | None, *, as_json: bool
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        async with room.open(), room.air.serve(*address) as where:
            _announce(room, where, as_json=as_json)
            with _watching(room) as on_progress:
                living = asyncio.create_task(room.live(seconds, on_progress), name="room")
                stopping = asyncio.create_task(stop.wait(), name="stop")
                await asyncio.wait({living, stopping}, return_when=asyncio.FIRST_COMPLETED)
                for task in (living, stopping):
                    task.cancel()
    except OSError as error:
        msg = f"cannot listen on {address[0]}:{address[1]}: {error.strerror}; give another --listen"
        raise RadioError(msg) from error


def environment_of(where: str) -> dict[str, str]:
    """What a gateway has to have set to be in the room."""
    return {
        "GATEWAY_BLE_ENABLED": "yes",
        "GATEWAY_BLE_BACKEND": "simulators.terminals.radio:open_radio",
        "GATEWAY_BLE_ADOPT": "all",
        "SIMULATE_RADIO": where,
    }


def _announce(room: "Room", where: str, *, as_json: bool) -> None:
    wanted = environment_of(where)
    if as_json:
        devices = [{"name": each["name"], "address": each["address"]} for each in room.report()]
        typer.echo(json.dumps({"listening": where, "environment": wanted, "devices": devices}))
        return
    typer.echo("for a gateway to join:")
    for name, value in wanted.items():
        typer.echo(f"  export {name}={value}")
    typer.echo("stop with Ctrl-C")


@contextmanager
def _watching(room: "Room") -> Iterator[Callable[[], None]]:
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda: None
        return
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        yield lambda: live.update(_table(room))


def _table(room: "Room") -> Table:
    rows: list[dict[str, Any]] = room.report()
    table = Table()
    for heading in ("device", "address", "connections", "held", "sent", "asked", "clock set"):
        table.add_column(heading)
    for row in rows:
        names = ("name", "address", "connections", "held", "sent", "requests", "clock_set")
        table.add_row(*(str(row.get(name, "-")) for name in names))
    return table
