"""A long run: ``python -m tests.fuzz``; ``make fuzz``. A million payloads, packets and values.

Prints what became of everything, and how much memory it took. The seed is printed first, so that
whatever fails can be seen again.
"""

import argparse
import asyncio
import dataclasses
import json
import os
import resource
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from tests.fuzz.characteristics import CharacteristicFuzz
from tests.fuzz.packets import PacketFuzz
from tests.fuzz.payloads import PayloadFuzz

_SESSION_PACKETS = 5_000
_VALUES = 1_000


def main() -> None:
    """Run all three."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--payloads", type=int, default=1_000_000)
    parser.add_argument("--packets", type=int, default=1_000_000)
    parser.add_argument("--values", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9))
    asked = parser.parse_args()
    sys.stderr.write(f"seed {asked.seed}\n")
    # Where it is set to 1, each panic of the codec reads debug information: 20 ms instead of 0.1.
    os.environ["RUST_BACKTRACE"] = "0"
    payloads, packets = PayloadFuzz(asked.seed), PacketFuzz(asked.seed)
    began_s = time.monotonic()
    payloads.run_block()
    before = _peak_bytes()
    while payloads.messages < asked.payloads:
        payloads.run_block()
        _show(f"{payloads.messages:,} payloads", sys.stderr)
    values = run_values(asked.seed, asked.values)
    with _quiet_panics() as stream:
        while packets.packets < asked.packets:
            asyncio.run(packets.run_session(_SESSION_PACKETS))
            _show(f"{packets.packets:,} packets", stream)
    sys.stderr.write("\n")
    report = {
        "seed": asked.seed,
        "payloads": payloads.messages,
        "readings_plain": payloads.plain,
        "readings_careful": payloads.accepted,
        "refused": payloads.refused,
        "packets": packets.packets,
        "deliveries": packets.deliveries,
        "connections_cut": packets.cuts,
        **values,
        "memory_grown_bytes": _peak_bytes() - before,
        "seconds": round(time.monotonic() - began_s, 1),
    }
    sys.stdout.write(json.dumps(report, indent=1) + "\n")


def run_values(seed: int, count: int) -> dict[str, Any]:
    """Send so many values through every decoder; returns what became of them."""
    values = CharacteristicFuzz(seed)
    while values.values < count:
        values.run(min(_VALUES, count - values.values))
        _show(f"{values.values:,} values", sys.stderr)
    counts = {code: dataclasses.asdict(found) for code, found in values.counts.items()}
    return {
        "values": values.values,
        "decoders": counts,
        "readings_of_values": values.readings,
        "quarantined_of_values": {k.value: n for k, n in sorted(values.quarantined.items())},
    }


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _quiet_panics() -> Iterator[TextIO]:
    """Send standard error to nowhere, and yield what it was: the codec writes ten lines a panic.

    It panics on text that is no UTF-8, and ``session`` takes that as any other nonsense.
    """
    kept, stream = os.dup(2), sys.stderr
    try:
        with Path(os.devnull).open("w") as nowhere, os.fdopen(os.dup(kept), "w") as ours:
            os.dup2(nowhere.fileno(), 2)
            sys.stderr = nowhere
            yield ours
    finally:
        sys.stderr = stream
        os.dup2(kept, 2)
        os.close(kept)


def _show(text: str, stream: TextIO) -> None:
    if stream.isatty():
        stream.write(f"\r{text}    ")
        stream.flush()


if __name__ == "__main__":
    main()
