"""Cards and words for the display, on a real socket."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

from gateway.identity import pseudonym
from gateway.wire.readings import parse_json
from gateway.wire.receipts import Prompted
from tests.unit.gateway.gateway_builders import (
    KEY,
    Door,
    HandClock,
    Terminal,
    a_measurement,
    open_door,
    some_settings,
)

ANN, BOB = "99000019490101001X", "990000198002290036"


def a_card(number: str = ANN, **fields: object) -> bytes:
    return json.dumps({"session": "open", "card_number": number, **fields}).encode()


async def owners(door: Door) -> list[str | None]:
    """Of what lies in the spool."""
    batch = await door.spool.run(door.spool.spool.take_batch, UUID(int=1), HandClock()())
    assert batch is not None
    return [reading.get("resident_id") for reading in parse_json(batch.payload)["readings"]]


def a_prompt(reply: dict[str, Any]) -> Prompted:
    return Prompted(id=UUID(reply["taken"]), code="measure_again", text="请静坐五分钟后再测一次")


async def test_a_card_claims_what_follows_on_its_connection_alone(tmp_path: Path) -> None:
    async with open_door(some_settings(tmp_path)) as door:
        async with door.terminal() as terminal, door.terminal() as other:
            replies = await terminal.say(
                a_measurement(), a_card(), a_measurement(), b'{"session":"close"}', a_measurement()
            )
            assert "claimed" not in (await other.say(a_measurement()))[0]
        async with door.terminal() as again:
            await again.say(a_card())
            await again.say(a_measurement())
        async with door.terminal() as after:
            await after.say(a_measurement())
        found = await owners(door)

    assert [reply.get("claimed") for reply in replies] == [None, None, True, None, False]
    ann = pseudonym(KEY, ANN)
    assert found == [None, ann, None, None, ann, None]


async def test_a_line_that_cannot_be_read_may_have_been_a_card(tmp_path: Path) -> None:
    async with open_door(some_settings(tmp_path)) as door:
        for unreadable in (b"x" * 5_000, b'{"session":"open",', b"[]"):
            async with door.terminal() as terminal:
                replies = await terminal.say(a_card(), a_measurement(), unreadable, a_measurement())
                assert [reply.get("claimed") for reply in replies] == [None, True, None, False]


async def test_a_wrong_number_is_refused_without_a_word_of_it(tmp_path: Path) -> None:
    wrong = "990000194901010010"
    async with open_door(some_settings(tmp_path)) as door, door.terminal() as terminal:
        replies = await terminal.say(a_card(wrong), a_measurement(card_number=wrong))

    assert [reply["refused"] for reply in replies] == ["invalid_card_number"] * 2
    assert "9900" not in str(replies)


async def test_words_for_the_display_reach_the_one_who_stands_there(tmp_path: Path) -> None:
    async with open_door(some_settings(tmp_path)) as door, door.terminal() as terminal:
        _, taken = await terminal.say(a_card(), a_measurement())

        door.prompts.deliver([a_prompt(taken)])

        assert await terminal.hear() == {
            "prompt": "measure_again",
            "text": "请静坐五分钟后再测一次",
            "for": taken["taken"],
        }
        assert (door.prompts.shown, door.prompts.dropped) == (1, 0)


async def _is_silent(terminal: Terminal) -> bool:
    """Whether the next thing it hears is the answer to what it says now."""
    (reply,) = await terminal.say(b'{"prompts":"on"}')
    return reply == {"prompts": "on"}


async def test_nobody_else_sees_them(tmp_path: Path) -> None:
    """The next card, a closed session, time, a reading that was not the person's, hung up."""
    clock = HandClock()
    async with open_door(some_settings(tmp_path), clock=clock) as door:
        async with door.terminal() as terminal:
            (_, first) = await terminal.say(a_card(), a_measurement())
            (_, second) = await terminal.say(a_card(BOB), a_measurement())
            door.prompts.deliver([a_prompt(first)])
            (third, _) = await terminal.say(
                a_measurement(stored_record=True), b'{"session":"close"}'
            )
            door.prompts.deliver([a_prompt(second), a_prompt(third)])
            (_, fourth) = await terminal.say(a_card(), a_measurement())
            clock.advance(121)
            door.prompts.deliver([a_prompt(fourth)])
            assert await _is_silent(terminal)
            (fifth,) = await terminal.say(a_measurement())
            clock.advance(420)
            door.prompts.deliver([a_prompt(fifth), Prompted(id=UUID(int=7), code="x", text="x")])
            assert await _is_silent(terminal)
            (_, sixth) = await terminal.say(a_card(), a_measurement())
        async with door.terminal() as terminal:
            assert await _is_silent(terminal)
            door.prompts.deliver([a_prompt(sixth)])
            assert await _is_silent(terminal)
        assert (door.prompts.shown, door.prompts.dropped) == (0, 7)


async def test_without_a_card_only_who_asks_for_words_gets_them(tmp_path: Path) -> None:
    async with open_door(some_settings(tmp_path)) as door, door.terminal() as terminal:
        (taken,) = await terminal.say(a_measurement(card_number=ANN))
        door.prompts.deliver([a_prompt(taken)])
        assert await _is_silent(terminal)

        (taken,) = await terminal.say(a_measurement(card_number=ANN))
        door.prompts.deliver([a_prompt(taken)])
        assert (await terminal.hear())["prompt"] == "measure_again"

        (taken, _) = await terminal.say(a_measurement(card_number=ANN), a_card(BOB))
        door.prompts.deliver([a_prompt(taken)])
        assert await _is_silent(terminal)


async def test_the_memory_of_places_is_bounded(tmp_path: Path) -> None:
    async with open_door(some_settings(tmp_path)) as door, door.terminal() as terminal:
        await terminal.say(a_card())
        (first,) = await terminal.say(a_measurement())
        replies = [await terminal.say(*[a_measurement()] * 500) for _ in range(9)][-1]
        door.prompts.deliver([a_prompt(first)])
        assert await _is_silent(terminal)
        door.prompts.deliver([a_prompt(replies[-1])])
        assert "prompt" in await terminal.hear()
