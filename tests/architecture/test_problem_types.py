"""Promise: every type of problem is in docs/api.md, with its status and what to do."""

import inspect
import re
from pathlib import Path

from api import errors

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
BESIDE = {("invalid-body", 422), ("bad-request", 400), ("method-not-allowed", 405)}
"""Found by the framework, told by ``api.problems``."""


def test_every_type_of_problem_is_explained_and_no_other() -> None:
    told = set()
    for words, statuses in re.findall(
        r"^\| (`[^|]+`) \| ([\d, ]+) \|", PAGE.read_text(), re.MULTILINE
    ):
        slugs = re.findall(r"`([a-z-]+)`", words)
        codes = [int(code) for code in statuses.split(",")]
        told |= set(zip(slugs, codes if len(codes) > 1 else codes * len(slugs), strict=True))

    known = {
        (error.slug, error.status)
        for _, error in inspect.getmembers(errors, inspect.isclass)
        if issubclass(error, errors.ApiError)
    }
    assert told == known | BESIDE
