"""Every reason has a meaning and a remedy, and the page prints them as the command does."""

from pathlib import Path

import pytest

from gateway.wire.errors import Reason
from ingest.remedies import REMEDIES, as_markdown, remedy_of

_PAGE = Path(__file__).parents[3] / "docs/quarantine.md"


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_remedy(reason: Reason) -> None:
    assert REMEDIES[reason].meaning.endswith(".")
    assert REMEDIES[reason].remedy.endswith(".")


def test_the_page_prints_the_table() -> None:
    """To mend it: ``suifang quarantine reasons --markdown``."""
    assert as_markdown() in _PAGE.read_text("utf-8")


def test_a_reason_of_a_newer_version_asks_for_an_update() -> None:
    assert "Update" in remedy_of("of_tomorrow").remedy
