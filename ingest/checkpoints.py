"""The folded past of one resident as bytes, and back. Pure.

Columns follow each other in the order below, little-endian, behind a version. Profile rows are
numbers of one table in one process, so they are kept by name beside the bytes (``Facts``), and
so is what was explained from readings that may be gone by the time it is told again.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from rules.carried import Carried, OpenAlerts, Shown
from rules.errors import ProfileError
from rules.lanes import Lanes
from rules.limits import ProfileTable
from rules.moments import Moments

FORMAT: Final = 1
_MAGIC: Final = b"SFC"
_HEAD: Final = struct.Struct("<3sBIII")  # Magic, format, lanes, alerts, moments.

_WHOLE, _SMALL, _YES = "<i8", "<i1", "|b1"
_INSTANT, _DAY, _ID = "<M8[us]", "<M8[D]", "|S16"
_Layout: TypeAlias = Mapping[str, str]
_SHOWN: Final[_Layout] = {
    "systolic_sum": _WHOLE,
    "diastolic_sum": _WHOLE,
    "count": _WHOLE,
    "glucose_mmol_l_e4": _WHOLE,
    "range_status": _SMALL,
}
LANES: Final[_Layout] = {
    "resident": _WHOLE,
    "condition": _SMALL,
    "state": _SMALL,
    "count": _WHOLE,
    "reactions": _WHOLE,
    "first_open": _SMALL,
    "reaction_open": _SMALL,
    "due": _WHOLE,
    "routine": _WHOLE,
    "anchor": _WHOLE,
    "cause": _SMALL,
    "decided": _WHOLE,
    "closed": _SMALL,
    "high_day": _WHOLE,
    "high_day_before": _WHOLE,
    "by_random": _SMALL,
    "first_emergency_at": _WHOLE,
    "second_emergency_at": _WHOLE,
    "last_visit": _WHOLE,
    "visit_anchor": _WHOLE,
}
ALERTS: Final[_Layout] = {
    **_SHOWN,
    "resident": _WHOLE,
    "condition": _SMALL,
    "code": _SMALL,
    "anchor": _WHOLE,
    "decided": _WHOLE,
    "due": _WHOLE,
    "by_random": _YES,
}
MOMENTS: Final[_Layout] = {
    "ids": _ID,
    "at": _INSTANT,
    "received_at": _INSTANT,
    "day": _DAY,
    "row": _WHOLE,
    "urgent_row": _WHOLE,
}
SHOWN: Final[_Layout] = _SHOWN
_RESIDENT: Final[_Layout] = {"until": _INSTANT, "high_normal_on": _DAY}
_NATIVE: Final = {_INSTANT: "datetime64[us]", _DAY: "datetime64[D]", _ID: "S16"}


class UnreadableCheckpointError(ValueError):
    """A checkpoint that this program does not understand. Nothing may be judged without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What stands beside the bytes of one resident's past. JSON types, as stored."""

    profiles: Sequence[tuple[str, str]] = ()  # Id and version of each row that moments name.
    cases: Mapping[str, Any] = field(default_factory=dict)  # By condition: why it stands so.
    answered: Mapping[str, Any] = field(default_factory=dict)  # By condition: what the last
    # visit answered, as [code, day].
    turns: Sequence[str] = ()  # Closures and returns that are folded, by id.


def to_bytes(carried: Carried) -> bytes:
    """One resident's past. Rows of profiles are those of ``Facts.profiles``."""
    head = _HEAD.pack(
        _MAGIC,
        FORMAT,
        len(carried.lanes.resident),
        len(carried.alerts.code),
        len(carried.moments),
    )
    parts = [head]
    for table, layout in (
        (carried, _RESIDENT),
        (carried.lanes, LANES),
        (carried.alerts, ALERTS),
        (carried.moments, MOMENTS),
        (carried.shown, SHOWN),
    ):
        parts += [getattr(table, name).astype(kind).tobytes() for name, kind in layout.items()]
    return b"".join(parts)


def from_bytes(data: bytes) -> Carried:
    """The past of one resident.

    Raises:
        UnreadableCheckpointError: Another format, or not whole.
    """
    if len(data) < _HEAD.size or not data.startswith(_MAGIC):
        msg = "a checkpoint is damaged: restore table resident_checkpoint from a backup"
        raise UnreadableCheckpointError(msg)
    _, version, lanes, alerts, moments = _HEAD.unpack_from(data)
    if version != FORMAT:
        msg = f"a checkpoint has format {version}, this program reads {FORMAT}: update the program"
        raise UnreadableCheckpointError(msg)
    rest = _Bytes(data)
    resident = rest.take(_RESIDENT, 1)
    carried = Carried(
        lanes=Lanes(**rest.take(LANES, lanes)),
        alerts=OpenAlerts(**rest.take(ALERTS, alerts)),
        moments=Moments(**rest.take(MOMENTS, moments)),
        shown=Shown(**rest.take(SHOWN, moments)),
        **resident,
    )
    rest.require_end()
    return carried


class _Bytes:
    """Columns one after another."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = _HEAD.size

    def take(self, layout: _Layout, rows: int) -> dict[str, npt.NDArray[Any]]:
        """The columns of one table."""
        found = {}
        for name, kind in layout.items():
            size = rows * np.dtype(kind).itemsize
            if self._at + size > len(self._data):
                self._refuse()
            column = np.frombuffer(self._data, kind, count=rows, offset=self._at)
            found[name] = column.astype(_NATIVE.get(kind, kind.lstrip("<")))
            self._at += size
        return found

    def require_end(self) -> None:
        """Nothing may be left over."""
        if self._at != len(self._data):
            self._refuse()

    @staticmethod
    def _refuse() -> None:
        msg = "a checkpoint is not whole: restore table resident_checkpoint from a backup"
        raise UnreadableCheckpointError(msg)


def name_profiles(carried: Carried, limits: ProfileTable) -> tuple[Carried, list[tuple[str, str]]]:
    """The same past with rows of a list of names in the place of rows of ``limits``."""
    moments = carried.moments
    rows, places = np.unique(np.concatenate((moments.row, moments.urgent_row)), return_inverse=True)
    names = [(limits.profiles[row].id, limits.profiles[row].version) for row in rows.tolist()]
    row, urgent_row = places.reshape(2, -1).astype(np.int64)
    return replace(carried, moments=replace(moments, row=row, urgent_row=urgent_row)), names


def find_profiles(
    carried: Carried, names: Sequence[tuple[str, str]], limits: ProfileTable
) -> Carried:
    """The other way round.

    Raises:
        ProfileError: A profile or version by which the past was judged is not in use any more.
    """
    rows = {(profile.id, profile.version): row for row, profile in enumerate(limits.profiles)}
    missing = [name for name in names if name not in rows]
    if missing:
        (id_, version) = missing[0]
        problem = f"a checkpoint was judged by version {version}: put its file back"
        raise ProfileError(id_, "version", problem)
    places = np.array([rows[name] for name in names], dtype=np.int64)
    moments = carried.moments
    if not len(moments):
        return carried
    return replace(
        carried,
        moments=replace(moments, row=places[moments.row], urgent_row=places[moments.urgent_row]),
    )
