"""Promise: the committed OpenAPI document is the API's, and breaks nothing that was released."""

import json

from api.compatibility import find_breaks
from api.publish import FILE, RELEASED, as_text, make_document


def test_the_committed_document_is_current() -> None:
    current = FILE.read_text("utf-8") == as_text(make_document())

    assert current, "docs/openapi.json is not what the API says now: run `make openapi`, commit it"


def test_nothing_released_is_broken() -> None:
    breaks = find_breaks(json.loads(RELEASED.read_text("utf-8")), make_document())

    advice = (
        "a client of the released API would break; add instead of changing (docs/api.md, "
        "deprecation), or release on purpose: `make openapi-release`"
    )
    assert not breaks, "\n".join([advice, *breaks])
