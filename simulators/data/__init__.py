"""Readings that nobody in this project wrote, as package resources; see ``PROVENANCE.md``."""

import csv
import gzip
import io
from collections.abc import Iterator
from importlib.resources import files
from typing import Literal, TypeAlias

Name: TypeAlias = Literal["real_readings", "real_dirty", "real_residents"]


def read_bytes(name: Name) -> bytes:
    """One CSV file, unpacked."""
    return gzip.decompress(files(__name__).joinpath(f"{name}.csv.gz").read_bytes())


def read_rows(name: Name) -> Iterator[dict[str, str]]:
    """Each line of one CSV file as column name to text, in file order."""
    return iter(csv.DictReader(io.StringIO(read_bytes(name).decode())))
