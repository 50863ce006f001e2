"""A process to be killed: puts, batches and confirms for ever, and says what it was told.

``taken`` is said after the spool's word; ``confirming`` before it is asked, since a kill may
come between. Whatever was read from stdout must be true of the file, however it ended.
"""

import json
import sys
from pathlib import Path

from gateway.spool import Spool
from gateway.wire.ids import new_id
from tests.unit.gateway.gateway_builders import NOON, a_reading


def main() -> None:
    """Write until killed."""
    with Spool(Path(sys.argv[1]), gateway="g1", rows_max=10**6, bytes_max=10**9) as spool:
        turn = 0
        while True:
            turn += 1
            readings = [a_reading() for _ in range(1 + turn % 7)]
            spool.put(readings)
            say("taken", *(reading.id for reading in readings))
            if turn % 3 == 0:
                spool.take_batch(new_id(NOON), NOON)
            if turn % 5 == 0:
                batch = spool.unreceipted()[0]
                members = json.loads(batch.payload)["readings"]
                say("confirming", *(member["id"] for member in members))
                spool.confirm(batch.id, stored=batch.readings, duplicate=0, quarantined=0)


def say(*words: object) -> None:
    """Print one line, at once."""
    sys.stdout.write(" ".join(str(word) for word in words) + " .\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
