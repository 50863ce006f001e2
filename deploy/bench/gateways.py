"""The connections of all gateways together, in the publisher process."""

import json
import select
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from deploy.bench.connections import Connection
from gateway.wire.topics import Channel, Topic
from simulators.load.link import Login
from simulators.load.packets import Heard
from simulators.load.traffic import Message
from simulators.sites import Site

TICK_S: Final = 0.02  # What comes meanwhile is taken in one go: a call for each PUBACK is dear.
STALLED_S_MAX: Final = 60.0


def say(event: str, **values: object) -> None:
    """Tell the parent something."""
    sys.stdout.write(json.dumps({"event": event, **values}) + "\n")
    sys.stdout.flush()


def told_to_stop(wait_s: float) -> bool:
    """Whether a line has come, or the input has ended, within so long."""
    return bool(select.select([sys.stdin], [], [], wait_s)[0])


class Gateways:
    """One connection for each site. ``write`` the messages, then ``open``."""

    def __init__(self, sites: Sequence[Site], channel: Channel) -> None:
        self._sites = sites
        self._poll = select.epoll()
        self._by_number: dict[int, Connection] = {}
        self.connections = [
            Connection(site.gateway_id, str(Topic(site.centre_id, site.gateway_id, channel)))
            for site in sites
        ]

    def write(self, messages: Iterator[Message]) -> None:
        """Put every message into the buffer of its gateway."""
        for message in messages:
            self.connections[message.gateway].add(message.payload)
        for connection in self.connections:
            connection.seal()

    def open(
        self,
        host: str,
        port: int,
        passwords: Mapping[str, str],
        *,
        receipts: bool,
        unreceipted_max: int | None,
    ) -> None:
        """Connect them all. Raises ``ProtocolError``."""
        for site, connection in zip(self._sites, self.connections, strict=True):
            topic = Topic(site.centre_id, site.gateway_id, "receipts")
            connection.open(
                host,
                port,
                Login(site.gateway_id, passwords[site.gateway_id]),
                client_id=f"gateway-{site.gateway_id}",
                receipts=str(topic) if receipts else None,
            )
            connection.unreceipted_max = unreceipted_max
            self._poll.register(connection.socket, select.EPOLLIN)
        self._by_number = {each.socket.fileno(): each for each in self.connections}

    def hear(self, wait_s: float = 0) -> list[tuple[Connection, Heard]]:
        """Take in what has come, from those from whom something has."""
        heard = []
        for number, _ in self._poll.poll(wait_s):
            connection = self._by_number[number]
            if (found := connection.hear()) is not None:
                heard.append((connection, found))
        return heard

    def send(self) -> None:
        """Send what the windows let through."""
        for connection in self.connections:
            if connection.sent < connection.messages:
                connection.send()

    def totals(self) -> dict[str, int]:
        """Messages of all gateways so far."""
        return {
            "messages": sum(each.acknowledged for each in self.connections),
            "receipted": sum(each.receipted for each in self.connections),
            "unheard": sum(each.unheard for each in self.connections),
        }

    def close(self) -> None:
        """Leave the broker."""
        for connection in self.connections:
            connection.close()


class Patience:
    """Notices when nothing moves any more."""

    def __init__(self) -> None:
        self._moved, self._moved_at_s = -1, time.monotonic()

    def is_over(self, moved: int) -> bool:
        """Whether this number has not changed for ``STALLED_S_MAX``."""
        now = time.monotonic()
        if moved != self._moved:
            self._moved, self._moved_at_s = moved, now
        return now - self._moved_at_s > STALLED_S_MAX
