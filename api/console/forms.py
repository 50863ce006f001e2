"""Fields of a submitted form. The front door has bounded its size; here their number is."""

from typing import Final
from urllib.parse import parse_qs

from fastapi import Request

from api.errors import BadParameterError

FIELDS_MAX: Final = 120
_FIELD_CHARACTERS_MAX: Final = 2_000


class Form:
    """Texts by name, as the browser sent them; a name may come several times."""

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self._fields = fields

    def __contains__(self, name: str) -> bool:
        """Whether the form had such a field, filled in or not."""
        return name in self._fields

    def get(self, name: str, default: str = "") -> str:
        """The last text of this name."""
        return self._fields.get(name, [default])[-1]

    def all(self, name: str) -> list[str]:
        """Every text of this name, in order."""
        return self._fields.get(name, [])

    def has(self, name: str, value: str) -> bool:
        """Whether this was chosen among others."""
        return value in self.all(name)


async def read_form(request: Request) -> Form:
    """The fields of a form. Raises ``BadParameterError`` for what is none."""
    body = await request.body()
    try:
        fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise BadParameterError(field="form", value="", remedy="must be a form in UTF-8") from error
    return Form(
        {name: [each[:_FIELD_CHARACTERS_MAX] for each in texts] for name, texts in fields.items()}
    )
