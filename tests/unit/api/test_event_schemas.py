"""Promise: every kind that can be told is described, and its example is what is described."""

from typing import Any, get_args

import pytest
from pydantic import BaseModel

from api.events import examples
from api.events.schemas import FEED_ITEM, FeedItem
from ingest.db.outbox import EventKind


def described() -> list[str]:
    (union, _) = get_args(FeedItem)
    models: list[type[BaseModel]] = list(get_args(union))
    return [kind for model in models for kind in get_args(model.model_fields["type"].annotation)]


def test_every_kind_that_is_told_is_described_once() -> None:
    assert sorted(described()) == sorted(get_args(EventKind)) == sorted(examples.DATA)


@pytest.mark.parametrize("kind", get_args(EventKind))
def test_an_example_is_as_described_and_nothing_in_it_is_unknown(kind: str) -> None:
    told = FEED_ITEM.validate_python(examples.event(kind))

    assert told.type == kind
    assert told.data.model_extra == {}


@pytest.mark.parametrize("kind", ["alert.gone", "", None])
def test_a_kind_that_is_not_described_is_none(kind: Any) -> None:  # noqa: ANN401 - words and none
    with pytest.raises(ValueError, match="type"):
        FEED_ITEM.validate_python({**examples.event("case.changed"), "type": kind})
