"""Promise: the AsyncAPI document is what the models say, whole, and its examples fit."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

from jsonschema import Draft202012Validator

from api.asyncapi.document import as_text, build
from api.webhooks.signing import make_secret, sign, write_secret
from gateway.wire.times import utc_now
from gateway.wire.topics import Channel

FILE = Path(__file__).parents[3] / "docs/asyncapi.json"
DOCUMENT = build()


def references(value: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "$ref":
                yield each
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_the_file_is_what_is_made() -> None:
    """Else: python -m api.asyncapi.document > docs/asyncapi.json."""
    assert FILE.read_text("utf-8") == as_text()


def test_the_check_shown_to_receivers_takes_what_is_genuine_and_nothing_else() -> None:
    text = (FILE.parent / "events.md").read_text("utf-8")
    shown: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], shown)  # noqa: S102 - our own page
    secrets = [make_secret(), make_secret()]
    headers = sign(secrets, message_id="evt_1_2", at=utc_now(), body=b"{}")
    old = sign(secrets, message_id="evt_1_2", at=utc_now() - timedelta(minutes=6), body=b"{}")

    for secret in secrets:
        assert shown["is_genuine"](write_secret(secret), headers, b"{}")
        assert not shown["is_genuine"](write_secret(secret), headers, b"{ }")
        assert not shown["is_genuine"](write_secret(secret), old, b"{}")
    assert not shown["is_genuine"](write_secret(make_secret()), headers, b"{}")


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > 20
    for reference in found:
        place: Any = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]


def test_every_channel_of_the_wire_and_the_webhook_are_there() -> None:
    assert set(DOCUMENT["channels"]) == {*get_args(Channel), "webhook"}
    assert len(DOCUMENT["operations"]) == len(DOCUMENT["channels"])


def test_every_example_of_an_event_fits_its_schema() -> None:
    message = DOCUMENT["channels"]["webhook"]["messages"]["Event"]
    schema = {**message["payload"], "components": DOCUMENT["components"]}
    validator = Draft202012Validator(schema)

    for example in message["examples"]:
        validator.validate(json.loads(json.dumps(example["payload"])))
