"""What stands in a room of virtual devices, and what it does wrong. Light: no radio in here."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomPlan:
    """What stands in the room and what it does wrong.

    Attributes:
        cuffs, meters: How many of each.
        records: What each holds when it is switched on.
        seed: Makes the values.
        secured: A client has to pair.
        clock_off_s: How far the devices' clocks are wrong.
        timezone: What their clocks show otherwise.
        break_after: The link of each first connection is lost after so many notifications, that
            of the second after the next number, and so on.
        abort_after: As many records, then a meter gives the first transfer up.
        pause_ms: Between two notifications.
        malformed: Unreadable bytes in the middle of each transfer, and of each cuff's memory.
        late_contexts: Meal contexts come only after the transfer, at the next live value.
        live_every_s: Somebody measures on every device; None: nobody.
        reset_after_s: The meters' batteries are changed once; None: never.
    """

    cuffs: int = 1
    meters: int = 1
    records: int = 20
    seed: int = 1
    secured: bool = False
    clock_off_s: int = 0
    timezone: str = "Asia/Shanghai"
    break_after: tuple[int, ...] = ()
    abort_after: int | None = None
    pause_ms: int = 0
    malformed: bool = False
    late_contexts: bool = False
    live_every_s: float | None = None
    reset_after_s: float | None = None
