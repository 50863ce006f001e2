"""The air between virtual Bluetooth devices: bumble's link, and TCP ports that lead into it.

Every device has a controller on one link. A program elsewhere (a gateway) joins by TCP: each
connection to ``serve`` gets a controller of its own and talks HCI to it, as to a USB dongle.
Invariants: at most ``controllers_max`` visitors at a time; a visitor that hangs up takes its
controller and its links away, as pulling the dongle would.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bumble import hci, ll
from bumble.controller import Controller
from bumble.core import InvalidArgumentError
from bumble.device import Device
from bumble.host import Host
from bumble.link import LocalLink
from bumble.transport.common import AsyncPipeSink, StreamPacketSink, StreamPacketSource

_LOG = logging.getLogger(__name__)


class _Link(LocalLink):
    """bumble's, but what is said to a radio that has just gone is lost and no error."""

    def send_ll_control_pdu(
        self, sender_address: hci.Address, receiver_address: hci.Address, packet: ll.ControlPdu
    ) -> None:
        try:
            super().send_ll_control_pdu(sender_address, receiver_address, packet)
        except InvalidArgumentError:
            _LOG.debug("nobody is at %s any more", receiver_address)


class Air:
    """One room full of devices that hear each other."""

    def __init__(self, *, controllers_max: int = 8) -> None:
        self._link = _Link()  # type: ignore[no-untyped-call]
        self._controllers_max = controllers_max
        self._visitors: set[_Visitor] = set()
        self._controllers: dict[Device, Controller] = {}

    def device(self, name: str, address: str) -> Device:
        """A device on this link, not yet powered; ``address`` is random static (``C0:…``)."""
        controller = Controller(name, link=self._link)
        host = Host(controller, AsyncPipeSink(controller))
        device = Device(name=name, address=hci.Address(address), host=host)
        self._controllers[device] = controller
        return device

    def remove(self, device: Device) -> None:
        """Take a device out of the room: its links break, nobody hears it any more."""
        controller = self._controllers.pop(device)
        _break_links(controller)
        self._link.remove_controller(controller)

    @asynccontextmanager
    async def serve(self, host: str, port: int) -> AsyncIterator[str]:
        """Let others join by TCP; yields ``host:port``. Raises ``OSError``."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(self._visitor, host, port)
        bound = server.sockets[0].getsockname()
        try:
            yield f"{bound[0]}:{bound[1]}"
        finally:
            server.close()
            for visitor in list(self._visitors):
                visitor.hang_up()

    def _visitor(self) -> asyncio.Protocol:
        return _Visitor(self._link, self._visitors, self._controllers_max)


class _Visitor(StreamPacketSource):
    """One TCP connection: HCI packets to and from a controller of its own."""

    def __init__(self, link: LocalLink, visitors: set["_Visitor"], limit: int) -> None:
        super().__init__()
        self._link = link
        self._visitors = visitors
        self._limit = limit
        self._controller: Controller | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a TCP server's is
        self._transport = transport
        if len(self._visitors) >= self._limit:
            _LOG.warning("a visitor was turned away: %d are here", len(self._visitors))
            transport.abort()
            return
        self._visitors.add(self)
        self._controller = Controller(
            "visitor", host_source=self, host_sink=StreamPacketSink(transport), link=self._link
        )
        _LOG.info("a radio joined; %d are here", len(self._visitors))

    def connection_lost(self, exc: Exception | None) -> None:
        del exc  # Whether it broke or was closed: the controller is gone.
        self._visitors.discard(self)
        if self._controller is None:
            return
        self._controller.host = None
        _break_links(self._controller)
        self._link.remove_controller(self._controller)
        self._controller = None

    def hang_up(self) -> None:
        """Close the TCP connection."""
        if self._transport is not None:
            self._transport.close()


def _break_links(controller: Controller) -> None:
    reason = hci.HCI_ErrorCode.CONNECTION_TIMEOUT_ERROR
    for connection in controller.le_connections.values():
        connection.send_ll_control_pdu(ll.TerminateInd(reason))
