"""Status and commands do not drift: golden payloads are read, and written again, as they were."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from gateway.wire.commands import command_json_schema, parse_command, write_command
from gateway.wire.status import Status, parse_status, status_json_schema, write_status

GOLDEN = Path(__file__).parents[3] / "contract" / "wire" / "v1" / "operations"
STATUSES = ("status.json", "status_last_will.json")


def validate(name: str, schema: dict[str, Any]) -> None:
    jsonschema.validate(
        json.loads((GOLDEN / name).read_text("utf-8")),
        schema,
        cls=jsonschema.Draft202012Validator,
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )


@pytest.mark.parametrize("name", STATUSES)
def test_golden_statuses_are_valid_and_lose_nothing_when_written_again(name: str) -> None:
    validate(name, status_json_schema())
    golden = json.loads((GOLDEN / name).read_text("utf-8"))

    again = json.loads(write_status(parse_status((GOLDEN / name).read_bytes())))

    assert golden.items() <= again.items()


def test_the_golden_command_is_valid_and_written_again_the_same() -> None:
    validate("command.json", command_json_schema())
    golden = (GOLDEN / "command.json").read_bytes()

    assert write_command(parse_command(golden)) + b"\n" == golden


def test_what_a_newer_gateway_says_is_ignored() -> None:
    assert parse_status(b'{"schema":1,"online":true,"mood":"good"}').online
    assert json.loads(write_status(Status(online=False)))["schema"] == 1


@pytest.mark.parametrize(
    "payload",
    [b"", b"{}", b"[]", b'{"id":1}', b"\xff", b'{"schema":1,"id":"x","command":"resend"}'],
)
def test_what_is_no_command_is_refused(payload: bytes) -> None:
    with pytest.raises(ValidationError):
        parse_command(payload)
