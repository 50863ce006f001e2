"""Write the OpenAPI document of this version: ``python -m api.publish``, or ``make openapi``.

``--release`` makes it the one that later ones are compared with, too: ``make openapi-release``.

Keys are sorted and every leaf has a line, so that two changes seldom meet in one place. The
document depends on nothing of the deployment: neither settings nor version are in it.
"""

import json
import sys
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from api.app import create_app
from api.settings import ApiSettings
from gateway.wire.times import utc_now

FILE: Final = Path(__file__).parents[1] / "docs" / "openapi.json"
RELEASED: Final = Path(__file__).parents[1] / "docs" / "openapi.released.json"


def make_document() -> dict[str, Any]:
    """The document as ``/openapi.json`` shows it, but for the version of the program."""
    settings = ApiSettings(db_dsn=SecretStr("host=127.0.0.1"), authentication="off")
    document: dict[str, Any] = create_app(settings, utc_now).openapi()
    return {**document, "info": {**document["info"], "version": "v1"}}


def as_text(document: dict[str, Any]) -> str:
    """As it is committed."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    written = as_text(make_document())
    for file in (FILE, RELEASED) if "--release" in sys.argv else (FILE,):
        file.write_text(written, "utf-8")
