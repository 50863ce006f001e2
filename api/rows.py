"""Pages of rows as JSON, straight from the database: no model is made of what was just read.

For the lists that are asked most. The model still says which fields an answer has and documents
them; rows are trusted to fit it, which the tests hold every answer to. It must never show a
column that the model does not name. Decimals become numbers with every digit they have.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from fastapi import Response
from pydantic import BaseModel

_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class Shown:
    """The fields of one model, by which rows are shown."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._names = tuple(model.model_fields)

    def of(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The row without what the model does not name. A column that is missing is a bug."""
        return {name: row[name] for name in self._names}


def answer_page(items: Sequence[Mapping[str, Any]], **rest: object) -> Response:
    """200 with ``items`` and what else the page says."""
    return Response(_ENCODER.encode({"items": items, **rest}), media_type="application/json")
