"""What the terminals send, from a seed: the same readings in every run of one workload.

Every reading says when it was measured, on days before the run and never twice at one time for
one resident, so that what the rules make of it does not depend on when it arrived. A resident's
readings come through all gateways and in no order. Among them: high values in a row, sessions
of two readings, emergencies, emergencies of nobody known, the same measurement sent twice, values
whose meal context comes by itself, and values that belong in the quarantine.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from random import Random
from typing import Final, Literal

from gateway.identity import pseudonym
from ingest.db.entities import ConditionName
from ingest.db.residents import (
    Centre,
    DatedCondition,
    DeviceRecord,
    GatewayRecord,
    Population,
    Resident,
    Team,
)
from simulators.planned import Expected, Numeral, PlannedReading, encode_line, refusal_of
from tests.faults.clock import RUN_BEGINS_AT

GATEWAYS: Final = {"gw-1": "east", "gw-2": "east", "gw-3": "west"}
KEY: Final = b"k" * 32
RESIDENTS: Final = 24
READINGS_PER_DEVICE: Final = 50
SENDING_S: Final = 8.0
_DAYS: Final = 60
_KINDS: Final[tuple[Literal["blood_pressure", "glucose"], ...]] = (
    "blood_pressure",
    "blood_pressure",
    "glucose",
)
_CONDITIONS: Final[tuple[tuple[ConditionName, ...], ...]] = (
    ("hypertension",),
    ("diabetes",),
    ("hypertension", "diabetes"),
    (),
)


@dataclass(frozen=True, slots=True)
class Device:
    """One terminal."""

    id: str
    gateway_id: str
    kind: Literal["blood_pressure", "glucose"]


def list_devices() -> list[Device]:
    """Three terminals a gateway."""
    return [
        Device(f"{gateway}-{number}", gateway, kind)
        for gateway in GATEWAYS
        for number, kind in enumerate(_KINDS, start=1)
    ]


def card_of(number: int) -> str:
    """A resident's card."""
    return f"FAULT-{number:04d}"


def build_population() -> Population:
    """Places, gateways, terminals and residents, the same for every workload."""
    since = date(2025, 1, 1)
    centres = sorted(set(GATEWAYS.values()))
    return Population(
        centres=[Centre(id=centre, name=centre) for centre in centres],
        teams=[Team(id=f"{c}-1", centre_id=c, name="Team 1") for c in centres],
        gateways=[GatewayRecord(id=g, centre_id=c) for g, c in GATEWAYS.items()],
        devices=[
            DeviceRecord(id=each.id, gateway_id=each.gateway_id, kind=each.kind)
            for each in list_devices()
        ],
        residents=[
            Resident(
                id=pseudonym(KEY, card_of(number)),
                team_id=f"{centres[number % len(centres)]}-1",
                birth_date=date(1950 + number, 1, 1),
                sex="female" if number % 2 else "male",
                conditions=[
                    DatedCondition(condition=name, since=since)
                    for name in _CONDITIONS[number % len(_CONDITIONS)]
                ],
            )
            for number in range(RESIDENTS)
        ],
    )


def plan_workload(seed: int) -> dict[str, list[PlannedReading]]:
    """Every terminal's readings in the order of sending, with their due times."""
    return dict(_Planner(seed).plan())


class _Planner:
    """Draws readings; the same seed draws the same."""

    def __init__(self, seed: int) -> None:
        self._random = Random(f"workload {seed}")  # noqa: S311 - readings, not secrets
        self._boot = f"faults-{seed}"
        self._used: set[tuple[int, int]] = set()  # Resident and minute.
        self._latest: list[tuple[int, int]] = []

    def plan(self) -> Iterator[tuple[str, list[PlannedReading]]]:
        for device in list_devices():
            readings: list[PlannedReading] = []
            for sequence in range(1, READINGS_PER_DEVICE + 1):
                readings += self._draw(device, sequence)
            step_s = SENDING_S / len(readings)
            yield (
                device.id,
                [
                    replace(reading, due_s=number * step_s)
                    for number, reading in enumerate(readings)
                ],
            )

    def _draw(self, device: Device, sequence: int) -> Sequence[PlannedReading]:
        """One reading, or the same measurement twice."""
        resident, minute = self._draw_time(device)
        claimed = self._random.random() > 0.04
        dirty = self._random.random() < 0.06
        fields: dict[str, object] = {
            "device_id": device.id,
            "device_sequence": sequence,
            "boot_id": self._boot,
            "kind": device.kind,
            "measured_at": (RUN_BEGINS_AT - timedelta(days=1, minutes=minute)).isoformat(),
            "setting": "office",
        }
        if claimed:
            fields["card_number"] = card_of(resident)
        fields |= self._draw_values(device, dirty=dirty)
        late = fields.get("meal_context") is not None and self._random.random() < 0.3
        if late:
            fields["meal_context"] = "unknown"
        line = encode_line(fields)
        refused = refusal_of(line) is not None
        assert refused == dirty, line
        twice = not dirty and self._random.random() < 0.06
        first = PlannedReading(
            gateway_id=device.gateway_id,
            device_id=device.id,
            card_number=card_of(resident) if claimed else "",
            line=line,
            expected=Expected.QUARANTINED if dirty else Expected.STORED,
            twins=f"{device.id}-{sequence}" if twice else None,
        )
        said = [first, replace(first, expected=Expected.DUPLICATE)] if twice else [first]
        if late:
            said.insert(self._random.randint(0, len(said)), self._say_context(fields, first))
        return said

    def _say_context(self, fields: dict[str, object], of: PlannedReading) -> PlannedReading:
        """Before its value, or behind it, or between it and its repetition."""
        named = {name: fields[name] for name in ("device_id", "device_sequence", "boot_id")}
        line = encode_line({"kind": "glucose_context", **named, "meal_context": "fasting"})
        return replace(of, card_number="", line=line, expected=Expected.STORED, twins=None)

    def _draw_time(self, device: Device) -> tuple[int, int]:
        """A resident and a minute that they have no reading of; at times close to another one."""
        while True:
            if self._latest and device.kind == "blood_pressure" and self._random.random() < 0.25:
                resident, minute = self._random.choice(self._latest[-20:])
                minute -= self._random.randint(2, 8)
            else:
                resident = self._random.randrange(RESIDENTS)
                minute = self._random.randrange(_DAYS * 1_440)
            if minute >= 0 and (resident, minute) not in self._used:
                self._used.add((resident, minute))
                self._latest.append((resident, minute))
                return resident, minute

    def _draw_values(self, device: Device, *, dirty: bool) -> dict[str, object]:
        random = self._random
        level = random.random()
        if device.kind == "glucose":
            if dirty:
                return random.choice(_DIRTY_GLUCOSE)
            tenths = random.randint(45, 69) if level < 0.5 else random.randint(71, 120)
            if level > 0.95:
                tenths = random.choice((28, 35, 39, 167, 240))
            value = Numeral(f"{tenths // 10}.{tenths % 10}")
            return {"glucose": value, "unit": "mmol/L", "meal_context": "fasting"}
        if dirty:
            return random.choice(_DIRTY_PRESSURES)
        systolic, diastolic = random.randint(105, 139), random.randint(60, 88)
        if level > 0.5:
            systolic, diastolic = random.randint(141, 175), random.randint(80, 108)
        if level > 0.96:
            systolic, diastolic = random.choice(((182, 95), (150, 112), (210, 120)))
        return {"systolic": systolic, "diastolic": diastolic, "unit": "mmHg"}


_DIRTY_GLUCOSE: Final[Sequence[dict[str, object]]] = (
    {"glucose": "5,6", "unit": "mmol/L", "meal_context": "fasting"},
    {"glucose": 99, "unit": "mmol/L", "meal_context": "fasting"},
    {"glucose": 5.6, "unit": "furlong", "meal_context": "fasting"},
)
_DIRTY_PRESSURES: Final[Sequence[dict[str, object]]] = (
    {"systolic": 400, "diastolic": 80, "unit": "mmHg"},
    {"systolic": "high", "diastolic": 80, "unit": "mmHg"},
    {"systolic": 120, "unit": "mmHg"},
)
