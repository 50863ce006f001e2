"""Write the published JSON Schema files from the models: ``python -m gateway.wire.publish``."""

import json
from pathlib import Path
from typing import Final

from gateway.wire.batches import batch_json_schema
from gateway.wire.commands import command_json_schema
from gateway.wire.receipts import receipts_json_schema
from gateway.wire.status import status_json_schema

FOLDER: Final = Path(__file__).parent / "schema" / "v1"


def schema_texts() -> dict[str, str]:
    """File name to text, for every published schema."""
    schemas = {
        "batch.schema.json": batch_json_schema(),
        "receipts.schema.json": receipts_json_schema(),
        "status.schema.json": status_json_schema(),
        "command.schema.json": command_json_schema(),
    }
    return {
        name: json.dumps(schema, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        for name, schema in schemas.items()
    }


if __name__ == "__main__":
    for name, text in schema_texts().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
