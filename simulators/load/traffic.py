"""Messages as gateways send them, many and fast: same bytes, same order of fields.

A reading is what ``gateway.freezer`` makes of a line of the live fleet, an envelope what
``gateway.wire.batches`` writes; tests hold both against the originals. Everything follows from
the shape: the same shape gives the same bytes, another ``seed`` gives other ids, so a round is
never a redelivery of the round before. Values are of ``simulators.people``.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from random import Random
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gateway.identity import pseudonym
from gateway.wire.limits import READINGS_PER_BATCH_MAX
from simulators.load.identifiers import RANDOM_BYTES, write_identifiers
from simulators.people.town import TownPlan, make_town
from simulators.people.traits import Traits
from simulators.sites import PAIRS_PER_GATEWAY, Site, device_name, sites_of

EMERGENCY_SYSTOLIC_MMHG: Final = 180  # Source: clinical decision table, E1, E3, E4.
EMERGENCY_DIASTOLIC_MMHG: Final = 110
EMERGENCY_GLUCOSE_TENTHS: Final = (39, 167)
_BLOCK: Final = 8_192  # Readings drawn at once: bounds what is held besides the messages.
_GLUCOSE_SHARE: Final = 1 / 3  # As in the live fleet: each third terminal is a meter.
_TOWN_DAY: Final = date(2026, 1, 1)  # Only how old people are depends on it.
_GROWN_UP_YEARS: Final = 35
_KEY: Final = b"suifang bench: pseudonyms of nobody"
UTC_8_MS: Final = 8 * 3_600_000
_MEALS: Final = ("fasting", "postprandial_2h", "random")

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrafficShape:
    """What to send.

    Attributes:
        readings: In all; the last message may hold fewer than the others.
        batch_size: Readings of one message.
        gateways: Each sends in turn.
        centres: They stand in.
        residents: Measured at random, each at any terminal.
        seed: Makes ids and values.
        captured_ms: Unix milliseconds of the first reading.
        gap_ms: Between one message and the next.
        emergency_rate: Share of readings pushed beyond a limit (assumption).
    """

    readings: int
    batch_size: int = 1
    gateways: int = 200
    centres: int = 10
    residents: int = 100_000
    seed: int = 1
    captured_ms: int = 0
    gap_ms: float = 0.0
    emergency_rate: float = 0.01

    @property
    def messages(self) -> int:
        """How many messages that makes."""
        return -(-self.readings // self.batch_size)


@dataclass(slots=True)
class Totals:
    """What was generated; the database must hold the same before a time is told."""

    readings: int = 0
    blood_pressures: int = 0
    systolic: int = 0
    diastolic: int = 0
    glucose_tenths: int = 0

    def add(self, other: "Totals") -> None:
        """Count other traffic, too."""
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)

    def as_dict(self) -> dict[str, int]:
        """For JSON."""
        return asdict(self)


class Message(NamedTuple):
    """One message of one gateway."""

    gateway: int  # Its position in ``list_sites``.
    payload: bytes
    batch: str
    readings: int
    urgent: tuple[str, ...]  # Ids of the readings that cannot wait.


class _Block(NamedTuple):
    """Some readings as columns of Python values."""

    captured: list[str]
    measured: list[str]
    identifiers: list[str]
    batches: list[str]  # One for each message.
    residents: list[int]
    pairs: list[int]
    glucose: list[bool]
    first: list[int]  # Systolic, or tenths of mmol/L.
    second: list[int]  # Diastolic, or which meal.


def list_sites(gateways: int, centres: int) -> list[Site]:
    """The gateways, in the order in which they send."""
    return sites_of(
        [f"gw-{number:03d}" for number in range(1, gateways + 1)], min(centres, gateways)
    )


def list_residents(residents: int) -> list[str]:
    """The pseudonyms that a gateway would make of the residents' cards."""
    return [pseudonym(_KEY, f"BENCH-{number:06d}") for number in range(residents)]


def to_milliseconds(at: datetime) -> int:
    """Unix milliseconds of an aware instant."""
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000)


def list_visitors(residents: int) -> Traits:
    """Who comes to terminals: always the same so many."""
    plan = TownPlan(residents=residents, first_day=_TOWN_DAY, age_years_min=_GROWN_UP_YEARS)
    return make_town(plan, 0).traits


class Traffic:
    """Generates the messages of one shape, once. ``totals`` is complete after the last one."""

    def __init__(self, shape: TrafficShape) -> None:
        if not 1 <= shape.batch_size <= READINGS_PER_BATCH_MAX:
            msg = f"a batch holds 1 to {READINGS_PER_BATCH_MAX} readings, not {shape.batch_size}"
            raise ValueError(msg)
        self.shape = shape
        self.sites = list_sites(shape.gateways, shape.centres)
        self.totals = Totals()
        self._random = Random(shape.seed)  # noqa: S311 - ids of nobody
        self._numbers = np.random.default_rng(shape.seed)
        self._people = list_visitors(shape.residents)
        self._residents = list_residents(shape.residents)
        self._boot = f"b-{self._random.getrandbits(32):08x}"
        self._devices = _list_devices(self.sites)
        self._sequences = [0] * shape.gateways

    def messages(self) -> Iterator[Message]:
        """All messages, in the order in which they are due."""
        size, left, number = self.shape.batch_size, self.shape.readings, 0
        while left:
            count = min(max(_BLOCK // size, 1), -(-left // size))  # Messages.
            readings = min(count * size, left)
            block = self._draw(number, readings)
            for offset in range(0, readings, size):
                yield self._write(number, block, offset, min(offset + size, readings))
                number += 1
            left -= readings

    def _write(self, number: int, block: _Block, start: int, end: int) -> Message:
        gateway = number % self.shape.gateways
        written: list[str] = []
        urgent: list[str] = []
        for row in range(start, end):
            text, hurries = self._write_reading(gateway, block, row)
            written.append(text)
            if hurries:
                urgent.append(block.identifiers[row])
        batch = block.batches[start // self.shape.batch_size]
        payload = write_batch(batch, block.captured[end - 1], written)
        return Message(gateway, payload, batch, end - start, tuple(urgent))

    def _write_reading(self, gateway: int, block: _Block, row: int) -> tuple[str, bool]:
        self._sequences[gateway] += 1
        totals = self.totals
        totals.readings += 1
        first, second = block.first[row], block.second[row]
        glucose = block.glucose[row]
        if glucose:
            totals.glucose_tenths += first
            low, high = EMERGENCY_GLUCOSE_TENTHS
            hurries = first <= low or first >= high
        else:
            totals.blood_pressures += 1
            totals.systolic += first
            totals.diastolic += second
            hurries = first >= EMERGENCY_SYSTOLIC_MMHG or second >= EMERGENCY_DIASTOLIC_MMHG
        text = write_reading(
            block.identifiers[row],
            captured=block.captured[row],
            measured=block.measured[row],
            resident=self._residents[block.residents[row]],
            device=self._devices[gateway][glucose][block.pairs[row]],
            sequence=self._sequences[gateway],
            boot=self._boot,
            glucose=glucose,
            values=(first, second),
        )
        return text, hurries

    def _draw(self, number: int, readings: int) -> _Block:
        """Columns for the readings of the messages from ``number`` on."""
        shape, numbers = self.shape, self._numbers
        message = number + np.arange(readings) // shape.batch_size
        instants = shape.captured_ms + (message * shape.gap_ms).astype(np.int64)
        captured = instants.astype("datetime64[ms]")
        local = (instants + UTC_8_MS).astype("datetime64[ms]")
        residents = numbers.integers(0, shape.residents, readings)
        glucose = numbers.random(readings) < _GLUCOSE_SHARE
        urgent = numbers.random(readings) < shape.emergency_rate
        first, second = draw_values(self._people, residents, glucose, urgent, numbers)
        return _Block(
            captured=np.datetime_as_string(captured, unit="ms").tolist(),
            measured=np.datetime_as_string(local, unit="ms").tolist(),
            identifiers=self._identify(instants),
            batches=self._identify(instants[:: shape.batch_size]),
            residents=residents.tolist(),
            pairs=numbers.integers(0, PAIRS_PER_GATEWAY, readings).tolist(),
            glucose=glucose.tolist(),
            first=first.tolist(),
            second=second.tolist(),
        )

    def _identify(self, instants_ms: Ints) -> list[str]:
        return write_identifiers(
            instants_ms, self._random.randbytes(len(instants_ms) * RANDOM_BYTES)
        )


def write_batch(batch: str, sent: str, readings: Sequence[str]) -> bytes:
    """What ``gateway.wire.batches.build_batch`` writes, from text."""
    head = f'{{"schema":1,"batch":"{batch}","sent_at":"{sent}Z","readings":['
    return f"{head}{','.join(readings)}]}}".encode()


def write_reading(
    identifier: str,
    *,
    captured: str,
    measured: str,
    resident: str,
    device: str,
    sequence: int,
    boot: str,
    glucose: bool,
    values: tuple[int, int],
) -> str:
    """One reading as ``gateway.freezer`` writes it.

    Args:
        identifier: UUIDv7.
        captured: UTC, without its Z.
        measured: Local time, without its +08:00.
        resident: Pseudonym.
        device: The terminal.
        sequence: Its counter.
        boot: Since when it counts.
        glucose: Of which kind it is.
        values: Systolic and diastolic in mmHg; or tenths of mmol/L, and which meal.
    """
    first, second = values
    if glucose:
        kind = "glucose"
        measures = (
            f'"glucose":{first // 10}.{first % 10},"unit":"mmol/L",'
            f'"meal_context":"{_MEALS[second]}"'
        )
    else:
        kind = "blood_pressure"
        measures = f'"systolic":{first},"diastolic":{second},"unit":"mmHg"'
    return (
        f'{{"id":"{identifier}","captured_at":"{captured}Z",'
        f'"clock_synchronised":true,"resident_id":"{resident}",'
        f'"device_id":"{device}","device_sequence":{sequence},'
        f'"boot_id":"{boot}","kind":"{kind}","measured_at":"{measured}+08:00",'
        f'"setting":"office",{measures}}}'
    )


def draw_values(
    people: Traits,
    residents: Ints,
    glucose: NDArray[np.bool_],
    urgent: NDArray[np.bool_],
    random: np.random.Generator,
) -> tuple[Ints, Ints]:
    """Both values of each reading (see ``write_reading``), shape (n,), row by row."""
    pressure = _draw_pressure(people, residents, urgent, random)
    sugar = _draw_glucose(people, residents, urgent, random)
    return np.where(glucose, sugar[0], pressure[0]), np.where(glucose, sugar[1], pressure[1])


def _list_devices(sites: Sequence[Site]) -> list[tuple[list[str], list[str]]]:
    """Of each gateway its cuffs and its meters."""
    return [
        (
            [
                device_name(site.gateway_id, "blood_pressure", pair, counts=True)
                for pair in range(PAIRS_PER_GATEWAY)
            ],
            [
                device_name(site.gateway_id, "glucose", pair, counts=True)
                for pair in range(PAIRS_PER_GATEWAY)
            ],
        )
        for site in sites
    ]


def _draw_pressure(
    people: Traits, residents: Ints, urgent: NDArray[np.bool_], random: np.random.Generator
) -> tuple[Ints, Ints]:
    """Systolic and diastolic, whole mmHg; only the urgent ones reach a limit."""
    size = len(residents)
    systolic = people.systolic_mmhg[residents] + random.normal(0, 7, size)
    diastolic = people.diastolic_mmhg[residents] + random.normal(0, 5, size)
    high = np.where(
        urgent,
        random.uniform(EMERGENCY_SYSTOLIC_MMHG, 225, size),
        np.clip(systolic, 80, EMERGENCY_SYSTOLIC_MMHG - 1),
    ).astype(np.int64)
    highest = np.minimum(EMERGENCY_DIASTOLIC_MMHG - 1, high - 10)
    return high, np.clip(diastolic, 40, highest).astype(np.int64)


def _draw_glucose(
    people: Traits, residents: Ints, urgent: NDArray[np.bool_], random: np.random.Generator
) -> tuple[Ints, Ints]:
    """Tenths of mmol/L, and which meal; only the urgent ones reach a limit."""
    size = len(residents)
    low, high = EMERGENCY_GLUCOSE_TENTHS
    meal = random.integers(0, len(_MEALS), size)
    usual = people.glucose_mmol_l[residents] * np.exp(random.normal(0, 0.1, size))
    usual += np.where(meal == 0, 0.0, 1.8)
    tenths = np.clip(usual * 10, low + 1, high - 1)
    values = np.where(urgent, random.uniform(high, 280, size), tenths)
    return values.astype(np.int64), meal
