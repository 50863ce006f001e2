"""The promise: on glibc the judge keeps its memory, and elsewhere it runs all the same."""

import ctypes
import subprocess
import sys

import pytest

from ingest import allocator

_FAULTS_OF_A_BATCH = """
import resource, sys
import numpy as np
from ingest.allocator import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()
def batch():
    return [np.ones(1 << 18, np.int64) for _ in range(20)]
batch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
batch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str) -> int:
    command = [sys.executable, "-c", _FAULTS_OF_A_BATCH, how]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_the_next_batch_does_not_fault_its_memory_in_again() -> None:
    assert _faults("keep") * 4 < _faults("give back")


def test_a_library_without_mallopt_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())

    assert not allocator.keep_memory()
