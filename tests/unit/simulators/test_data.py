"""The packed recordings are the ones whose provenance is written down, byte for byte."""

import gzip
import hashlib
import re
from importlib.resources import files
from typing import get_args

import pytest

from simulators import data

PROVENANCE = files(data).joinpath("PROVENANCE.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", get_args(data.Name))
def test_the_file_is_the_one_in_the_provenance(name: data.Name) -> None:
    found = re.search(rf"`{name}.csv.gz` \| ([\d,]+) \| `([0-9a-f]{{64}})`", PROVENANCE)

    assert found is not None
    assert hashlib.sha256(data.read_bytes(name)).hexdigest() == found[2]
    assert sum(1 for _ in data.read_rows(name)) == int(found[1].replace(",", ""))


@pytest.mark.parametrize("name", get_args(data.Name))
def test_packing_again_gives_the_same_bytes(name: data.Name) -> None:
    packed = files(data).joinpath(f"{name}.csv.gz").read_bytes()

    assert packed[3:8] == bytes(5)  # No file name, no time stamp.
    assert gzip.decompress(packed) == data.read_bytes(name)


def test_every_source_has_a_licence() -> None:
    sources = {row["source"] for row in data.read_rows("real_readings")}

    for source in sources:
        assert re.search(
            rf"^\| `{source}` \|.*(CC0|CC BY 4.0|Apache-2.0)", PROVENANCE, re.MULTILINE
        )
