"""The messages of a load, lazily: each reading at its time from a terminal at random.

Many terminals that each measure as a Poisson process are one Poisson process whose terminal is
drawn for each reading. Device times are the due times, so readings are never late by our doing.
Values follow from the seed; ids from the rehearsal as well, so that a second run is not a
redelivery of the first.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from random import Random
from typing import TypeAlias

import numpy as np

from simulators.load.identifiers import RANDOM_BYTES, write_identifiers
from simulators.load.plan import LoadPlan, Outgoing, list_terminals
from simulators.load.schedule import poisson_times
from simulators.load.traffic import (
    UTC_8_MS,
    draw_values,
    list_residents,
    list_visitors,
    to_milliseconds,
    write_batch,
    write_reading,
)
from simulators.sites import Site

_Row: TypeAlias = tuple[float, int, int, tuple[int, int], str, str, str, str]
"""Due, terminal, resident, both values, captured, measured, and both ids."""


class LiveTraffic:
    """Generates one plan's messages, once, from ``start`` (aware) on."""

    def __init__(self, plan: LoadPlan, sites: Sequence[Site], *, start: datetime) -> None:
        self._plan = plan
        self._sites = sites
        self._start_ms = to_milliseconds(start)
        self._numbers = np.random.default_rng(plan.seed)
        self._ids = Random(f"{plan.seed}:{plan.rehearsal}")  # noqa: S311 - ids of nobody
        self._boot = f"load-{self._ids.getrandbits(32):08x}"
        self._people = list_visitors(plan.residents)
        self._residents = list_residents(plan.residents)
        self._terminals = list_terminals(plan, sites)
        self._is_meter = np.array([is_meter for _, is_meter in self._terminals])
        self._sequences = [0] * plan.terminals

    def messages(self) -> Iterator[Outgoing]:
        """All messages, in the order in which they are due."""
        plan, numbers = self._plan, self._numbers
        for times_s in poisson_times(
            plan.rate_per_s, plan.duration_s, np.random.default_rng([plan.seed, 1])
        ):
            size = len(times_s)
            instants = self._start_ms + (times_s * 1_000).astype(np.int64)
            terminals = numbers.integers(0, plan.terminals, size)
            residents = numbers.integers(0, plan.residents, size)
            glucose = self._is_meter[terminals]
            urgent = numbers.random(size) < plan.emergency_rate
            first, second = draw_values(self._people, residents, glucose, urgent, numbers)
            random = self._ids.randbytes(2 * size * RANDOM_BYTES)
            identifiers = write_identifiers(np.repeat(instants, 2), random)
            local = (instants + UTC_8_MS).astype("datetime64[ms]")
            rows = zip(
                times_s.tolist(),
                terminals.tolist(),
                residents.tolist(),
                zip(first.tolist(), second.tolist(), strict=True),
                np.datetime_as_string(instants.astype("datetime64[ms]"), unit="ms").tolist(),
                np.datetime_as_string(local, unit="ms").tolist(),
                identifiers[::2],
                identifiers[1::2],
                strict=True,
            )
            yield from map(self._write, rows)

    def _write(self, row: _Row) -> Outgoing:
        due_s, terminal, resident, values, captured, measured, identifier, batch = row
        self._sequences[terminal] = sequence = self._sequences[terminal] + 1
        device, is_meter = self._terminals[terminal]
        gateway = terminal % len(self._sites)
        reading = write_reading(
            identifier,
            captured=captured,
            measured=measured,
            resident=self._residents[resident],
            device=device,
            sequence=sequence,
            boot=self._boot,
            glucose=is_meter,
            values=values,
        )
        entry = (
            f'{{"gateway":"{self._sites[gateway].gateway_id}","id":"{identifier}","reading":'
            f'{{"device_id":"{device}","device_sequence":{sequence},"boot_id":"{self._boot}"}}}}'
        )
        return Outgoing(gateway, due_s, batch, write_batch(batch, captured, (reading,)), (entry,))
