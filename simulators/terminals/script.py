"""What a virtual device does wrong, said beforehand, so that a run can be repeated exactly."""

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class Script:
    """The faults of one device. The default is a device without any.

    Attributes:
        break_after: One entry for each connection: the link is lost after that many
            notifications and indications of measurements (and contexts) of that connection;
            None: it holds. Connections beyond the list hold.
        break_before_end: Connections (counted from 0) that break after everything was sent, but
            before the record access control point says so.
        abort_after: One entry for each transfer: after that many records the meter says
            "procedure not completed"; None or beyond the list: it completes.
        pause_s: Between two notifications.
        malformed: Bytes that go out before the record of that index (from 0) of each transfer.
        cuff_pressure: Intermediate cuff pressures (0x2A36) before each measurement of a cuff.
        reverse_contexts: A context goes out before its measurement.
    """

    break_after: list[int | None] = field(default_factory=list)
    break_before_end: set[int] = field(default_factory=set)
    abort_after: list[int | None] = field(default_factory=list)
    pause_s: float = 0.0
    malformed: dict[int, bytes] = field(default_factory=dict)
    cuff_pressure: int = 0
    reverse_contexts: bool = False

    def notifications_of(self, connection: int) -> int | None:
        """After how many notifications of that connection the link is lost."""
        return self.break_after[connection] if connection < len(self.break_after) else None

    def records_of(self, transfer: int) -> int | None:
        """After how many records that transfer is given up."""
        return self.abort_after[transfer] if transfer < len(self.abort_after) else None
