"""One contender in a process of its own, with one thread, until its input ends.

``python -m tests.benchmarks.worker STEP CONTENDER SIZES`` makes the population, does the step
once (to warm up, to watch the memory, and for a digest of the result), writes one line of JSON,
then does it again for every line it reads. A process each, because the number of threads must
be set before a library is imported and because a peak of memory belongs to a process.
"""

import gc
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from ingest.allocator import keep_memory
from tests.benchmarks.inputs import digest_of
from tests.benchmarks.machine import forget_peak, peak_bytes, resident_bytes
from tests.benchmarks.population import make_population
from tests.benchmarks.steps import Job, Sizes, list_steps, make_job


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What a worker says first."""

    digest: str
    readings: int  # Of which it does the step.
    input_bytes: int  # Held before the step: the libraries and the readings.
    peak_bytes: int  # The most held during the step, the input included.


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """What a worker says each time it did the step."""

    seconds: float
    cpu_seconds: float


def main(name: str, contender: str, sizes: str) -> None:
    """Prepare, then do the step whenever a line comes in."""
    step = next(each for each in list_steps(Sizes(**json.loads(sizes))) if each.name == name)
    keep_memory()  # As the judge process does.
    job = make_job(step, contender, make_population(step.shape))
    gc.collect()
    forget_peak()
    held = resident_bytes()
    result = job.run()
    peak = peak_bytes()
    _say(
        Prepared(
            digest=digest_of(job.columns(result)),
            readings=getattr(job, "readings", step.shape.readings),
            input_bytes=held,
            peak_bytes=peak,
        )
    )
    del result
    for _ in sys.stdin:
        _say(_measure(job))


def _measure(job: Job) -> Lap:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    result = job.run()
    lap = Lap(seconds=time.perf_counter() - wall, cpu_seconds=time.process_time() - cpu)
    del result  # After the clock: giving memory back is not the step.
    return lap


def _say(what: Any) -> None:  # noqa: ANN401 - either of the two
    sys.stdout.write(json.dumps(asdict(what)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
