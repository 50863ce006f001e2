"""Errors of the benchmark.

BenchError    something the reader can act on: one line and exit 1
"""


class BenchError(Exception):
    """The benchmark cannot go on; the message says why and what to do next."""
