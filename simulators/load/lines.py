"""The lines of all gateways: one epoll, and a thread that brings back those that broke.

A broker that restarts loses thousands of lines at once; they come back one by one beside the
sending, and everything without a receipt goes again. Nothing is counted here but that.
"""

import queue
import select
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Self

from simulators.errors import LoadError
from simulators.load.members import Flight, Member
from simulators.load.packets import Heard, ProtocolError

AWAY_S_MAX: Final = 60.0  # Without a line for so long: the broker is gone.
UNHEARD_S: Final = 2.0  # As the gateway's setting of this name.
_EVENTS_MAX: Final = 4_096
_PAUSE_S: Final = 0.25
_WAIT_S: Final = 0.1
_HOW_TO_LET_IN: Final = (
    "Check --broker, and that the broker knows the gateways' users (--gateways-file)"
)
_HOW_TO_MAKE_ROOM: Final = (
    "Does the broker have room for so many? See max_connections in mosquitto.conf, and the open"
    " files its service may have (LimitNOFILE=, or `ulimit -n` where it starts)"
)


class Lines:
    """Use as a context manager, after ``open``. One thread calls; the other is in here."""

    def __init__(self, members: Sequence[Member], host: str, port: int) -> None:
        self._members = members
        self._address = (host, port)
        self._poll = select.epoll()
        self._by_number: dict[int, Member] = {}
        self._away: dict[Member, float] = {}
        self._blocked: set[Member] = set()
        self._unheard: set[Member] = set()
        self._broken: queue.Queue[Member] = queue.Queue(maxsize=len(members) + 1)
        self._back: queue.Queue[Member] = queue.Queue(maxsize=len(members) + 1)
        self._leaving = threading.Event()
        self._thread = threading.Thread(target=self._mend, name="mend lines", daemon=True)
        self._problem = ""
        self.broken = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leaving.set()
        self._thread.join(timeout=30)
        for member in self._members:
            member.link.close()
        self._poll.close()

    def open(self, is_over: Callable[[], bool], on_progress: Callable[[int], None]) -> None:
        """Connect every gateway, unless it is over before.

        Raises:
            LoadError: The broker refuses one, or has no room for so many.
        """
        for number, member in enumerate(self._members):
            if is_over():
                return
            try:
                member.open(*self._address)
            except ProtocolError as error:
                msg = f"{error}; {number} of {len(self._members)} gateways are connected. "
                msg += _HOW_TO_MAKE_ROOM if number else _HOW_TO_LET_IN
                raise LoadError(msg) from error
            self.listen(member)
            on_progress(number + 1)

    def send(self, member: Member, flight: Flight) -> None:
        """Send now, or as soon as there is a line and room."""
        try:
            member.send(flight)
        except ProtocolError:
            self._lose(member)
            return
        if member.link.unsent:
            self._blocked.add(member)

    def acknowledge(self, member: Member, heard: Heard) -> list[Flight]:
        """What these PUBACKs are for; what was held for them goes."""
        again_at_s = None
        if heard.unheard and member.with_receipts:
            again_at_s = time.monotonic() + UNHEARD_S
            self._unheard.add(member)
        taken = member.take_acknowledged(heard.acknowledged, again_at_s=again_at_s)
        if member.is_holding:
            self._let(member, member.send_held)
        return taken

    def hear(self, wait_s: float) -> Iterator[tuple[Member, Heard]]:
        """What has come, from whom; receipts are acknowledged, lines that break are mended.

        Raises:
            LoadError: A line stays broken.
        """
        for number, _ in self._poll.poll(wait_s, _EVENTS_MAX):
            member = self._by_number[number]
            try:
                heard = member.link.read()
            except ProtocolError:
                self._lose(member)
                continue
            if heard is not None:
                yield member, heard
                if heard.answers and member.is_open:
                    self._let(member, member.link.write, heard.answers)
        self._flush()
        if self._unheard:
            self._send_unheard()
        if self._away:
            self._welcome_back()

    @property
    def again(self) -> int:
        """Readings that went more than once, each time but the first."""
        return sum(member.again for member in self._members)

    def listen(self, member: Member) -> None:
        """Hear what comes to this gateway, which is connected; what it holds goes."""
        number = member.link.socket.fileno()
        self._by_number[number] = member
        self._poll.register(number, select.EPOLLIN)
        self._let(member, member.resume)

    def _let(self, member: Member, act: Callable[..., None], *arguments: object) -> None:
        """Let it write: a line that breaks is lost, of a full one the rest goes later."""
        try:
            act(*arguments)
        except ProtocolError:
            self._lose(member)
        else:
            if member.link.unsent:
                self._blocked.add(member)

    def _send_unheard(self) -> None:
        now_s = time.monotonic()
        for member in list(self._unheard):
            self._let(member, member.send_unheard, now_s)
            if not member.is_unheard:
                self._unheard.discard(member)

    def _flush(self) -> None:
        for member in list(self._blocked):
            try:
                if not member.is_open or member.link.flush():
                    self._blocked.discard(member)
            except ProtocolError:
                self._lose(member)

    def _lose(self, member: Member) -> None:
        if not member.is_open:
            return
        self.broken += 1
        self._blocked.discard(member)
        number = member.link.socket.fileno()
        self._poll.unregister(number)
        del self._by_number[number]
        member.link.socket.close()
        member.forget_acknowledged()
        self._away[member] = time.monotonic()
        self._broken.put_nowait(member)

    def _welcome_back(self) -> None:
        while not self._back.empty():
            member = self._back.get_nowait()
            del self._away[member]
            self.listen(member)
        longest_s = time.monotonic() - min(self._away.values(), default=time.monotonic())
        if longest_s > AWAY_S_MAX:
            msg = f"the broker was away for {longest_s:.0f} s ({self._problem}). See its log; the"
            msg += " ledger and the report say what was sent until then"
            raise LoadError(msg)

    def _mend(self) -> None:
        while not self._leaving.is_set():
            try:
                member = self._broken.get(timeout=_WAIT_S)
            except queue.Empty:
                continue
            try:
                member.open(*self._address)
            except ProtocolError as error:
                self._problem = str(error)
                self._broken.put_nowait(member)
                time.sleep(_PAUSE_S)
            else:
                self._back.put_nowait(member)
