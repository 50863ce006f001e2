"""Who hears what of the session: receipts go to the publisher, commands to the commander."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.commands import Commander
from gateway.publisher import Publisher
from gateway.session import Delivery


@dataclass(frozen=True, slots=True)
class Switchboard:
    """A ``session.Listener``; every call is made in the event loop and returns at once."""

    publisher: Publisher
    commander: Commander
    on_news: Callable[[], None]

    def on_connection(self) -> None:
        """The connection came or went."""
        self.publisher.on_connection()
        self.on_news()

    def on_receipt(self, delivery: Delivery) -> None:
        """A receipt has arrived."""
        self.publisher.on_receipt(delivery)

    def on_command(self, delivery: Delivery) -> None:
        """A command has arrived."""
        self.commander.on_command(delivery)

    def on_broker_ack(self, packet: int, reason: int) -> None:
        """The broker has a message, or refused it."""
        self.publisher.on_broker_ack(packet, reason)
