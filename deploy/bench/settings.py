"""Settings of the benchmark, from its command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PEERS: Final = ("pathway_persisted", "naive")
STEPS: Final = ("rate", "batches", "latency", "drain", "memory", "workers", "history")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSettings:
    """How the benchmark runs.

    Attributes:
        home: Of its own stack; logs and the last report go there, too.
        checkout: The home of the checkout's stack, whose unpacked programs are shared.
        readings: Of one round; below the broker's queue (500,000), so that it refuses nothing.
        batch_size: Readings of one message.
        rounds: Each contender's turns, one after another.
        peers: Measured beside ours; see ``PEERS``.
        naive_part: The naive contender gets one reading in so many: it is slow and steady.
        with_judge: One more turn of ours with judge and dispatcher running.
        ingest: Settings of ingest that are not the shipped ones, by name of the variable.
        unreceipted_max: Messages of one gateway without receipt; None: the broker's window only.
        minutes: Of full load, for the memory step.
        seconds: Of the latency step, at ``latency_rate`` readings a second.
        backlog: Readings that wait when the drain step begins.
        live_s_max: How long live readings go on beside the drain.
        history_rows: Already stored when the history step begins.
        lap_s_max: How long one turn may take.
    """

    home: Path
    checkout: Path
    readings: int = 300_000
    batch_size: int = 1
    gateways: int = 200
    centres: int = 10
    residents: int = 100_000
    rounds: int = 3
    seed: int = 1
    peers: tuple[str, ...] = ()
    steps: tuple[str, ...] = ("rate",)
    naive_part: int = 5
    with_judge: bool = False
    ingest: Mapping[str, str] = field(default_factory=dict)
    unreceipted_max: int | None = None
    minutes: float = 10.0
    seconds: float = 60.0
    latency_rate: int = 2_000
    backlog: int = 2_000_000
    live_s_max: float = 120.0
    history_rows: int = 50_000_000
    lap_s_max: float = 900.0
