"""A process to be killed: puts, batches and confirms for ever, and says what it was told.

``taken`` is said after the spool's word; ``confirming`` before it is asked, since a kill may
come between. Whatever was read from stdout must be true of the file, however it ended. With a
number of turns it kills itself after them.
"""

import json
import os
import random
import signal
import sys
import zlib
from itertools import count
from pathlib import Path

from gateway.freezer import Stamp, freeze_reading
from gateway.spool import Spool
from gateway.spooled import SpooledReading
from gateway.wire.ids import new_id
from tests.unit.gateway.gateway_builders import NOON, a_measurement


def main() -> None:
    """Write until killed."""
    turns = range(1, 1 + int(sys.argv[2])) if len(sys.argv) > 2 else count(1)
    spool = Spool(Path(sys.argv[1]), gateway="g1", rows_max=10**6, bytes_max=10**9)
    for turn in turns:
        readings = [a_reading(turn, number) for number in range(1 + turn % 7)]
        spool.put(readings)
        say("taken", *(reading.id for reading in readings))
        if turn % 3 == 0:
            spool.take_batch(new_id(NOON), NOON)
        if turn % 5 == 0:
            batch = spool.unreceipted()[0]
            members = json.loads(batch.payload)["readings"]
            say("confirming", *(member["id"] for member in members))
            spool.confirm(batch.id, stored=batch.readings, duplicate=0, quarantined=0)
    os.kill(os.getpid(), signal.SIGKILL)


def a_reading(turn: int, number: int) -> SpooledReading:
    """One that carries a checksum of its own, for the test to see."""
    note = f"{turn} {number} " + "x" * random.Random(turn).randrange(200)  # noqa: S311 - a length
    line = a_measurement(note=note, check=zlib.crc32(note.encode()))
    stamp = Stamp(new_id(NOON), NOON, clock_synchronised=True)
    return SpooledReading(stamp.id, NOON, freeze_reading(line, stamp, key=None))


def say(*words: object) -> None:
    """Print one line, at once."""
    sys.stdout.write(" ".join(str(word) for word in words) + " .\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
