"""One gateway of a light fleet: what it has sent, what is answered, what it must send again."""

from collections import deque
from dataclasses import dataclass

import msgspec

from gateway.wire.topics import Topic
from simulators.load.link import Link, Login
from simulators.load.packets import PACKET_IDS, Publisher
from simulators.load.plan import Outgoing
from simulators.sites import Site


class Receipt(msgspec.Struct):
    """As much of ``gateway.wire.receipts.Receipt`` as is counted here."""

    batch: str
    stored: int = 0
    duplicate: int = 0
    quarantined: list[msgspec.Raw] = []


class _Receipts(msgspec.Struct):
    receipts: list[Receipt]


parse_receipts = msgspec.json.Decoder(_Receipts).decode


@dataclass(slots=True)
class Flight:
    """A message on its way."""

    message: Outgoing
    due_s: float  # On the monotonic clock.
    number: int  # Of its first reading, in the ledger.
    sent: bool = False
    acknowledged: bool = False
    receipted: bool = False


class Member:
    """One gateway. Not thread-safe.

    Attributes:
        with_receipts: Whether a message is done with its receipt; else with its PUBACK.
        again: Readings that went more than once, each time but the first.
    """

    def __init__(self, site: Site, login: Login, *, with_receipts: bool = True) -> None:
        self.site = site
        self.login = login
        self.link = Link(site.gateway_id)
        self.with_receipts = with_receipts
        self.is_open = False
        self.again = 0
        self._publisher = Publisher(str(Topic(site.centre_id, site.gateway_id, "readings")))
        self._packet_id = 0
        self._held: deque[Flight] = deque()  # The window is full, or the line is down.
        self._unacknowledged: deque[Flight] = deque()
        self._unreceipted: dict[str, Flight] = {}
        self._unheard: deque[tuple[float, Flight]] = deque()

    def open(self, host: str, port: int) -> None:
        """Connect, and listen for receipts if any. Blocks; raises ``ProtocolError``."""
        receipts = Topic(self.site.centre_id, self.site.gateway_id, "receipts")
        self.link.open(
            host,
            port,
            self.login,
            client_id=f"gateway-{self.site.gateway_id}",
            receipts=str(receipts) if self.with_receipts else None,
        )

    def send(self, flight: Flight) -> None:
        """Send, or hold when there is no room. Raises ``ProtocolError`` when the line breaks."""
        if not self.is_open or len(self._unacknowledged) >= self.link.receive_max:
            self._held.append(flight)
            return
        self._packet_id = self._packet_id % (PACKET_IDS - 1) + 1
        self._unacknowledged.append(flight)
        self._unreceipted[flight.message.batch] = flight
        if flight.sent:
            self.again += len(flight.message.entries)
        flight.sent = True
        self.link.write(self._publisher.encode(self._packet_id, flight.message.payload))

    def take_acknowledged(self, messages: int, *, again_at_s: float | None = None) -> list[Flight]:
        """The messages that so many PUBACKs are for, once each.

        A broker answers in the order of sending. With ``again_at_s`` it said that it let some of
        them go, for nobody subscribes: those without a receipt by then go again, as a gateway's do.
        There is room now for what is held: see ``send_held``.
        """
        flights, taken = self._unacknowledged, []
        for _ in range(min(messages, len(flights))):
            flight = flights.popleft()
            if not self.with_receipts:
                self._unreceipted.pop(flight.message.batch, None)
            elif again_at_s is not None:
                self._unheard.append((again_at_s, flight))
            if not flight.acknowledged:
                flight.acknowledged = True
                taken.append(flight)
        return taken

    def take_receipted(self, batch: str) -> Flight | None:
        """The message of this receipt; None when it had one before."""
        flight = self._unreceipted.pop(batch, None)
        if flight is not None:
            flight.receipted = True
        return flight

    def forget_acknowledged(self) -> None:
        """The line broke: everything without a receipt is to be sent again, oldest first."""
        again = sorted(self._unreceipted.values(), key=lambda flight: flight.number)
        never_sent = [each for each in self._held if each.message.batch not in self._unreceipted]
        self._unacknowledged.clear()
        self._unheard.clear()
        self._held = deque(again + never_sent)
        self.is_open = False

    def resume(self) -> None:
        """The line is there again: as ``send_held``."""
        self.is_open = True
        self.send_held()

    def send_held(self) -> None:
        """As far as the window goes, and nothing that got its receipt while it was held.

        Raises:
            ProtocolError: The line breaks; what was not sent is held still.
        """
        while self._held and self.is_open and len(self._unacknowledged) < self.link.receive_max:
            flight = self._held.popleft()
            if not flight.receipted:
                self.send(flight)

    def send_unheard(self, now_s: float) -> None:
        """Send again what the broker let go and nobody has receipted since; as ``send_held``."""
        while self._unheard and self._unheard[0][0] <= now_s:
            _, flight = self._unheard.popleft()
            if flight.message.batch in self._unreceipted:
                self.send(flight)

    @property
    def is_holding(self) -> bool:
        """Whether something waits for the line, or for room."""
        return bool(self._held)

    @property
    def is_unheard(self) -> bool:
        """Whether something may have to go again."""
        return bool(self._unheard)

    def oldest_due_s(self) -> float | None:
        """When the oldest message without a receipt was due; None: there is none."""
        if self._unreceipted:
            return next(iter(self._unreceipted.values())).due_s
        return self._held[0].due_s if self._held else None
