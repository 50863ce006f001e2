"""What every part of the client does: read one thing, write one, go through pages."""

import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, TypeAdapter

from api.client.transport import Transport

ModelT = TypeVar("ModelT", bound=BaseModel)
_SEALED = ("personal",)


class Asking:
    """Requests of one client. Errors are those of ``Transport.ask``."""

    def __init__(self, transport: Transport) -> None:
        self._ask = transport

    def _read(self, path: str, out: type[ModelT], query: Mapping[str, Any] | None = None) -> ModelT:
        answer = self._ask.ask("GET", path, query=query)
        return out.model_validate(_exact(answer.content))

    def _write(
        self,
        method: str,
        path: str,
        out: type[ModelT],
        content: BaseModel | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ModelT:
        body = None if content is None else plain(content)
        answer = self._ask.ask(method, path, body=body, headers=headers)
        return out.model_validate(_exact(answer.content))

    def _delete(self, path: str) -> None:
        self._ask.ask("DELETE", path)

    def _pages(self, path: str, item: Any, filters: Mapping[str, Any]) -> Iterator[Any]:  # noqa: ANN401 - a model, or several
        """Every item of every page; the next page is read when it is needed."""
        adapter = TypeAdapter(item)
        cursor: str | None = None
        while True:
            answer = self._ask.ask("GET", path, query={**filters, "cursor": cursor})
            page = _exact(answer.content)
            for each in page["items"]:
                yield adapter.validate_python(each)
            cursor = page["next_cursor"]
            if cursor is None:
                return


def at(*parts: object) -> str:
    """An address; what is in it is quoted."""
    return "/v1/" + "/".join(quote(str(part), safe="") for part in parts)


def plain(content: BaseModel) -> dict[str, Any]:
    """As JSON; names and ID numbers, which no model shows by itself, only here."""
    found = content.model_dump(mode="json", exclude={*_SEALED}, exclude_unset=True)
    personal = getattr(content, "personal", None)
    if personal is not None:
        found["personal"] = {
            name: None if value is None else value.get_secret_value()
            for name, value in personal
            if name in personal.model_fields_set
        }
    return found


def _exact(content: bytes) -> Any:  # noqa: ANN401 - JSON
    return json.loads(content, parse_float=Decimal)  # 7.00 stays 7.00.
