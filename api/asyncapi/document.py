"""``docs/asyncapi.json``, made from the models that read and write what it describes.

    python -m api.asyncapi.document > docs/asyncapi.json

Pure. It must never be edited by hand: a test holds the file against what is made here.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final, get_args

from pydantic import TypeAdapter

from api.events import examples
from api.events.schemas import FeedItem
from gateway.wire.batches import batch_json_schema
from gateway.wire.commands import command_json_schema
from gateway.wire.receipts import receipts_json_schema
from gateway.wire.status import status_json_schema
from gateway.wire.topics import NAME_PATTERN, ROOT, Channel
from ingest.db.outbox import EventKind

Json = dict[str, Any]
_LOCAL: Final = "#/$defs/"
_SHARED: Final = "#/components/schemas/"
_SENT_BY_GATEWAYS: Final = ("readings", "backlog", "status")
_ABOUT: Final[Mapping[str, str]] = {
    "readings": "A batch; its `items` are readings as the gateway took them.",
    "backlog": "The same, from the spool after an outage.",
    "status": "What a gateway says of itself, retained; also answers to commands.",
    "receipts": "What became of each reading. Only a receipt lets the spool forget.",
    "commands": "What an operator tells one gateway.",
}


def build() -> Json:
    """The whole document."""
    schemas: Json = {}
    channels = {channel: _channel(channel, schemas) for channel in get_args(Channel)}
    operations: Json = {
        f"{'receive' if channel in _SENT_BY_GATEWAYS else 'send'}_{channel}": {
            "action": "receive" if channel in _SENT_BY_GATEWAYS else "send",
            "channel": {"$ref": f"#/channels/{channel}"},
            "summary": _ABOUT[channel],
        }
        for channel in channels
    }
    channels["webhook"] = _webhook(schemas)
    operations["send_webhook"] = {
        "action": "send",
        "channel": {"$ref": "#/channels/webhook"},
        "summary": "One event, signed; any 2xx says that the receiver has it.",
        "bindings": {"http": {"method": "POST"}},
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Suifang",
            "version": "1",
            "description": "MQTT between gateways and ingest, and webhooks; docs/events.md.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _channel(channel: str, schemas: Json) -> Json:
    name, schema = {
        "readings": ("Batch", batch_json_schema()),
        "backlog": ("Batch", batch_json_schema()),
        "status": ("GatewayStatus", status_json_schema()),
        "receipts": ("GatewayReceipts", receipts_json_schema()),
        "commands": ("GatewayCommand", command_json_schema()),
    }[channel]
    return {
        "address": f"{ROOT}/{{centre}}/{{gateway}}/{channel}",
        "description": _ABOUT[channel],
        "parameters": {
            name: {"description": f"{what}, `{NAME_PATTERN}`"}
            for name, what in (("centre", "Id of the centre"), ("gateway", "Id of the gateway"))
        },
        "messages": {name: {"payload": _register(name, schema, schemas)}},
    }


def _webhook(schemas: Json) -> Json:
    event = TypeAdapter(FeedItem).json_schema()
    headers = {
        "type": "object",
        "required": ["webhook-id", "webhook-timestamp", "webhook-signature"],
        "properties": {
            "webhook-id": {"type": "string", "description": "The same at every attempt"},
            "webhook-timestamp": {"type": "string", "description": "Seconds since 1970"},
            "webhook-signature": {"type": "string", "description": "`v1,…`, blanks between"},
            "traceparent": {
                "type": "string",
                "description": "W3C Trace Context; the trace is the reading it rests on, if any",
            },
        },
    }
    shown = [{"name": kind, "payload": examples.event(kind)} for kind in get_args(EventKind)]
    message = {
        "payload": _register("Event", event, schemas),
        "headers": headers,
        "examples": shown,
    }
    return {
        "address": None,
        "description": "The subscription's URL",
        "messages": {"Event": message},
    }


def _register(name: str, schema: Json, schemas: Json) -> Json:
    """Put a schema and what it is made of among the shared ones; a reference to it."""
    own = {key: value for key, value in schema.items() if key not in {"$defs", "$schema"}}
    for part, definition in {**schema.get("$defs", {}), name: own}.items():
        shared = _shared(definition)
        if schemas.setdefault(part, shared) != shared:
            msg = f"two schemas are called {part}"
            raise AssertionError(msg)
    return {"$ref": _SHARED + name}


def _shared(value: Any) -> Any:  # noqa: ANN401 - JSON
    """The same with references to the document's shared schemas."""
    if isinstance(value, dict):
        return {key: _shared(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_shared(each) for each in value]
    return value.replace(_LOCAL, _SHARED) if isinstance(value, str) else value


def as_text() -> str:
    """The document as it is in the repository."""
    return json.dumps(build(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(as_text())
