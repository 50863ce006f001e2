"""All gateways as one process of its own: ``python -m deploy.bench.publisher``.

It reads one line of JSON (a ``Plan``), makes the traffic, connects every gateway, says what it
made, and sends when it reads ``go``. Each line it writes is one JSON object with ``event``. Times
are of the machine's monotonic clock, which all processes share. It costs as little as it can: it
runs on the two cores that it measures. Modes:

- ``burst``: as fast as broker and windows let it, until every message is acknowledged;
- ``paced``: each message at its time, whether or not the ones before were answered;
- ``endless``: as ``burst``, with new ids again and again, until ``stop`` is read;
- ``drain``: a backlog in gateways' batches within their window, beside live paced messages.
"""

import json
import os
import select
import sys
import time
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from deploy.bench.connections import Connection
from deploy.bench.packets import ProtocolError
from deploy.bench.traffic import Traffic, TrafficShape
from gateway.wire.topics import Topic

_TICK_S: Final = 0.02  # What comes meanwhile is taken in one go: a call for each PUBACK is dear.
_STALLED_S_MAX: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to publish, where and how. Passwords come by pipe, never on a command line."""

    host: str
    port: int
    passwords: dict[str, str]
    shape: dict[str, Any]
    receipts: bool  # Subscribe to them, as real gateways do.
    unreceipted_max: int | None = None  # Messages of one gateway; None: the broker's window only.

    @classmethod
    def of(cls, text: str) -> "Plan":
        """Read what the parent wrote."""
        given = json.loads(text)
        return cls(**{field.name: given[field.name] for field in fields(cls)})

    def as_text(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self)) + "\n"


def say(event: str, **values: object) -> None:
    """Tell the parent something."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


class Publisher:
    """The connections of all gateways, and the traffic on them."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.traffic = Traffic(TrafficShape(**plan.shape))
        self._poll = select.epoll()
        self._by_number: dict[int, Connection] = {}
        self.connections = [
            Connection(site.gateway_id, str(Topic(site.centre_id, site.gateway_id, "readings")))
            for site in self.traffic.sites
        ]

    def prepare(self) -> None:
        """Write every packet and connect. Raises ``ProtocolError``."""
        for message in self.traffic.messages():
            self.connections[message.gateway].add(message.payload)
        for connection in self.connections:
            connection.seal()
        for site, connection in zip(self.traffic.sites, self.connections, strict=True):
            receipts = Topic(site.centre_id, site.gateway_id, "receipts")
            connection.open(
                self._plan.host,
                self._plan.port,
                self._plan.passwords[site.gateway_id],
                receipts=str(receipts) if self._plan.receipts else None,
            )
            connection.unreceipted_max = self._plan.unreceipted_max
            self._poll.register(connection.socket, select.EPOLLIN)
        self._by_number = {each.socket.fileno(): each for each in self.connections}

    def _hear(self) -> None:
        """Take in what has come, from those from whom something has."""
        for number, _ in self._poll.poll(0):
            self._by_number[number].hear()

    def burst(self) -> None:
        """Send everything as fast as it is taken, then listen until told to leave."""
        began = time.monotonic()
        say("started", at_s=began)
        moved_at, moved = began, 0
        while not all(connection.done for connection in self.connections):
            self._hear()
            for connection in self.connections:
                if connection.sent < connection.messages:
                    connection.send()
            now_moved = sum(c.acknowledged + c.sent for c in self.connections)
            if now_moved != moved:
                moved_at, moved = time.monotonic(), now_moved
            elif time.monotonic() - moved_at > _STALLED_S_MAX:
                msg = f"the broker has taken nothing for {_STALLED_S_MAX:.0f} s"
                raise ProtocolError(msg)
            time.sleep(_TICK_S)
        times = os.times()
        say(
            "acknowledged",
            at_s=time.monotonic(),
            messages=sum(c.acknowledged for c in self.connections),
            unheard=sum(c.unheard for c in self.connections),
            user_s=times.user,
            system_s=times.system,
        )
        self._listen()

    def _listen(self) -> None:
        """Take receipts in, and acknowledge them, until a line comes in or input ends."""
        told = False
        while not select.select([sys.stdin], [], [], _TICK_S)[0]:
            self._hear()
            if not told and all(connection.receipted_all for connection in self.connections):
                say("receipted", at_s=time.monotonic())
                told = True

    def close(self) -> None:
        """Leave the broker."""
        for connection in self.connections:
            connection.close()


def main() -> int:
    """Do what one plan says. Exit 1 with the problem on stderr."""
    plan = Plan.of(sys.stdin.readline())
    publisher = Publisher(plan)
    try:
        publisher.prepare()
        say("ready", totals=publisher.traffic.totals.as_dict())
        if not sys.stdin.readline():
            return 0
        publisher.burst()
    except ProtocolError as error:
        sys.stderr.write(f"suifang bench: {error}\n")
        return 1
    publisher.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
