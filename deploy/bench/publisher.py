"""All gateways as one process of its own: ``python -m deploy.bench.publisher``.

It reads one line of JSON (a ``Plan``), makes the traffic, connects every gateway, says what it
made, and sends when it reads ``go``. Each line it writes is one JSON object with ``event``. Times
are of the machine's monotonic clock, which all processes share. It costs as little as it can: it
runs on the two cores that it measures. Modes:

- ``burst``: as fast as broker and windows let it, until every message is acknowledged;
- ``endless``: as ``burst``, the same readings under new ids again and again, until told to stop;
- ``paced``: each message at its time, whether or not the ones before were answered;
- ``drain``: a backlog in gateways' batches within their window, beside live paced messages.
"""

import json
import os
import sys
import time
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal

from deploy.bench.gateways import TICK_S, Gateways, Patience, say, told_to_stop
from deploy.bench.pacing import Drain, Paced
from simulators.load.packets import ProtocolError
from simulators.load.traffic import Traffic, TrafficShape

Mode = Literal["burst", "endless", "paced", "drain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to publish, where and how. Passwords come by pipe, never on a command line."""

    host: str
    port: int
    passwords: dict[str, str]
    shape: dict[str, Any]
    receipts: bool  # Subscribe to them, as real gateways do.
    unreceipted_max: int | None = None  # Messages of one gateway; None: the broker's window only.
    mode: Mode = "burst"
    live: dict[str, Any] | None = None  # The shape of what is live beside a drain.

    @classmethod
    def of(cls, text: str) -> "Plan":
        """Read what the parent wrote."""
        given = json.loads(text)
        return cls(**{field.name: given[field.name] for field in fields(cls)})

    def as_text(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self)) + "\n"


def send_burst(gateways: Gateways) -> None:
    """Send everything as fast as it is taken, then listen until told to leave."""
    say("started", at_s=time.monotonic())
    patience = Patience()
    while not all(connection.done for connection in gateways.connections):
        gateways.hear()
        gateways.send()
        if patience.is_over(sum(c.acknowledged + c.sent for c in gateways.connections)):
            msg = "the broker takes nothing any more"
            raise ProtocolError(msg)
        time.sleep(TICK_S)
    times = os.times()
    say(
        "acknowledged",
        at_s=time.monotonic(),
        user_s=times.user,
        system_s=times.system,
        **gateways.totals(),
    )
    told = False
    while not told_to_stop(TICK_S):
        gateways.hear()
        if not told and all(connection.receipted_all for connection in gateways.connections):
            say("receipted", at_s=time.monotonic())
            told = True


def send_endless(gateways: Gateways) -> None:
    """Send everything again and again under new ids, until told to stop; say how much it was."""
    say("started", at_s=time.monotonic())
    for connection in gateways.connections:
        connection.find_ids()
    sent = 0
    patience = Patience()
    while not told_to_stop(TICK_S):
        gateways.hear()
        for connection in gateways.connections:
            if connection.done and connection.receipted_all:
                sent += connection.messages
                connection.renew()
        gateways.send()
        if patience.is_over(sent + sum(c.acknowledged + c.sent for c in gateways.connections)):
            msg = "nothing is taken or answered any more"
            raise ProtocolError(msg)
    say("stopped", messages=sent + sum(c.sent for c in gateways.connections))


_SENDERS: Final = {"burst": send_burst, "endless": send_endless}


def run(plan: Plan) -> None:
    """Do what the plan says. Raises ``ProtocolError``."""
    traffic = Traffic(TrafficShape(**plan.shape))
    gateways = Gateways(traffic.sites, "backlog" if plan.mode == "drain" else "readings")
    paced = Paced(traffic, gateways) if plan.mode == "paced" else None
    drain = None
    if plan.mode == "drain" and plan.live is not None:
        drain = Drain(traffic, Traffic(TrafficShape(**plan.live)), gateways)
    if paced is None and drain is None:
        gateways.write(traffic.messages())
    gateways.open(
        plan.host,
        plan.port,
        plan.passwords,
        receipts=plan.receipts,
        unreceipted_max=plan.unreceipted_max,
    )
    if drain is not None:
        drain.load()
    say("ready", totals=traffic.totals.as_dict())
    if not sys.stdin.readline():
        return
    if paced is not None:
        paced.run()
    elif drain is not None:
        drain.run()
    else:
        _SENDERS[plan.mode](gateways)
    gateways.close()


def main() -> int:
    """Do what one plan says. Exit 1 with the problem on stderr."""
    try:
        run(Plan.of(sys.stdin.readline()))
    except ProtocolError as error:
        sys.stderr.write(f"suifang bench: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
