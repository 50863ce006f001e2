"""Pages of rows as JSON, straight from the database: no model is made of what was just read.

For the lists that are asked most. The model still says which fields an answer has and documents
them; rows are trusted to fit it, which the tests hold every answer to. It must never show a
column that the model does not name. Decimals become numbers with every digit they have.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, cast

import msgspec
from fastapi import Response
from psycopg.rows import DictRow
from pydantic import BaseModel

from api.round_trip import Values

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")
_REMEMBERED_MAX: Final = 20  # Statements that fill one model.


class ShownRow(msgspec.Struct):
    """A row as it is shown: made and written in half the time of a dict's."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - a column's value
        return getattr(self, name)

    def __setitem__(self, name: str, value: object) -> None:
        setattr(self, name, value)

    def as_dict(self) -> DictRow:
        """The same, for who reads more of it."""
        return msgspec.structs.asdict(self)


class Shown:
    """The fields of one model, by which rows are shown."""

    def __init__(self, model: type[BaseModel]) -> None:
        names = tuple(model.model_fields)
        # What a page holds refers to nothing that refers to it.
        made = msgspec.defstruct(model.__name__, names, bases=(ShownRow,), gc=False)
        self._row = cast("type[ShownRow]", made)

        @lru_cache(maxsize=_REMEMBERED_MAX)
        def take_from(columns: tuple[str, ...]) -> Callable[[Values], Values]:
            return itemgetter(*map(columns.index, names))

        self._take_from = take_from

    def of_each(self, columns: tuple[str, ...], rows: Iterable[Values]) -> list[ShownRow]:
        """Without what the model does not name. A column that is missing is a bug."""
        take, row = self._take_from(columns), self._row
        return [row(*take(values)) for values in rows]


def answer_page(items: Sequence[ShownRow], **rest: object) -> Response:
    """200 with ``items`` and what else the page says."""
    return Response(_ENCODER.encode({"items": items, **rest}), media_type="application/json")
