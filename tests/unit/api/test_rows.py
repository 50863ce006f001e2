"""A row is shown as its model says: these fields, in this order, whatever else was asked for."""

import json

import pytest
from pydantic import BaseModel

from api.rows import Shown, answer_page


class Told(BaseModel):
    """Two fields."""

    number: int
    name: str | None


COLUMNS = ("secret", "name", "number")
ROWS = [("s", "a", 1), ("s", None, 2)]


def test_a_shown_row_is_read_by_name() -> None:
    listed = Shown(Told).of_each(COLUMNS, ROWS)

    assert [row["number"] for row in listed] == [1, 2]
    assert listed[0].as_dict() == {"number": 1, "name": "a"}


def test_a_column_that_the_model_does_not_name_is_never_shown() -> None:
    answer = answer_page(Shown(Told).of_each(COLUMNS, ROWS), next_cursor=None)

    assert answer.body == (
        b'{"items":[{"number":1,"name":"a"},{"number":2,"name":null}],"next_cursor":null}'
    )


def test_columns_in_another_order_are_not_mixed_up() -> None:
    shown = Shown(Told)

    first = shown.of_each(COLUMNS, ROWS)
    turned = shown.of_each(COLUMNS[::-1], [row[::-1] for row in ROWS])

    assert first == turned
    assert json.loads(bytes(answer_page(turned).body))["items"][1] == {"number": 2, "name": None}


def test_a_column_that_is_missing_is_a_bug() -> None:
    with pytest.raises(ValueError, match="not in tuple"):
        Shown(Told).of_each(("name",), [("a",)])
