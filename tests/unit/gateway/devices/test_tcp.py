"""A terminal hears, in the order it spoke, what became of every line; ``taken`` means on disk."""

import asyncio
import json
import logging
from pathlib import Path
from uuid import UUID

import pytest

from gateway.counters import waiting_ids
from gateway.errors import ListenError
from gateway.wire.readings import parse_json
from tests.unit.gateway.gateway_builders import (
    HandClock,
    Terminal,
    a_measurement,
    open_door,
    some_settings,
)

CARD = "99000019490101001X"


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def talk_on(terminal: Terminal) -> None:
    """Say lines for ever and read no reply."""
    while True:
        terminal.writer.write(b"[]\n" * 10_000)
        await terminal.writer.drain()


async def test_what_is_taken_is_in_the_spool(tmp_path: Path) -> None:
    settings = some_settings(tmp_path)
    async with open_door(settings) as door, door.terminal() as terminal:
        replies = await terminal.say(*(a_measurement(device_sequence=i) for i in range(50)))

        taken = {UUID(reply["taken"]) for reply in replies}
        assert waiting_ids(settings.spool) == taken
        assert len(taken) == 50


async def test_replies_come_in_the_order_of_the_lines(tmp_path: Path) -> None:
    bad = (b"no json", b'{"id":"x"}', b"[]")
    lines = [bad[i % 3] if i % 4 == 0 else a_measurement(n=i) for i in range(2_000)]
    settings = some_settings(tmp_path, replies_waiting_max=7, commit_rows_max=5)
    async with open_door(settings) as door, door.terminal() as terminal:
        replies = await terminal.say(*lines)

        words = ["refused" if i % 4 == 0 else "taken" for i in range(2_000)]
        assert [next(iter(reply)) for reply in replies] == words
        batch = await door.spool.run(
            door.spool.spool.take_batch, UUID(replies[1]["taken"]), HandClock()()
        )
        assert batch is not None
        spooled = [(r["id"], r["n"]) for r in parse_json(batch.payload)["readings"]]
        taken = [(r["taken"], i) for i, r in enumerate(replies) if "taken" in r]
        assert spooled == taken[:500]


async def test_a_terminal_that_stops_talking_hears_everything_then_the_end(
    tmp_path: Path,
) -> None:
    async with open_door(some_settings(tmp_path)) as door, door.terminal() as terminal:
        terminal.writer.write(a_measurement() + b"\n" + a_measurement() + b"\n" + b'{"half":')
        terminal.writer.write_eof()

        replies = [await terminal.hear() for _ in range(3)]

        assert [next(iter(reply)) for reply in replies] == ["taken", "taken", "refused"]
        assert replies[2]["refused"] == "incomplete_line"
        assert await terminal.reader.read() == b""


@pytest.mark.parametrize("size", [4_097, 70_000, 1_000_000])
async def test_a_line_too_long_is_refused_and_the_next_one_taken(tmp_path: Path, size: int) -> None:
    async with open_door(some_settings(tmp_path)) as door, door.terminal() as terminal:
        replies = await terminal.say(a_measurement(), b"x" * size, a_measurement())

    assert [next(iter(reply)) for reply in replies] == ["taken", "refused", "taken"]
    assert replies[1]["refused"] == "too_large"


async def test_a_full_spool_says_busy_and_takes_the_same_line_after_a_receipt(
    tmp_path: Path,
) -> None:
    settings = some_settings(tmp_path, spool_rows_max=3)
    async with open_door(settings) as door, door.terminal() as terminal:
        replies = await terminal.say(*(a_measurement(n=i) for i in range(5)))
        assert [next(iter(reply)) for reply in replies] == ["taken"] * 3 + ["busy"] * 2
        assert replies[4]["busy"] == "spool_full"

        spool = door.spool
        batch = await spool.run(spool.spool.take_batch, UUID(replies[0]["taken"]), HandClock()())
        assert batch is not None
        await spool.run(spool.spool.confirm, batch.id, stored=3, duplicate=0, quarantined=0)

        assert "taken" in (await terminal.say(a_measurement(n=4)))[0]


async def test_more_than_the_disk_takes_is_busy_not_memory(tmp_path: Path) -> None:
    settings = some_settings(tmp_path, intake_rows_max=10)
    async with open_door(settings) as door, door.terminal() as terminal:
        replies = await terminal.say(*(a_measurement(n=i) for i in range(200)))

        taken = [reply["taken"] for reply in replies if "taken" in reply]
        assert {reply.get("busy", "too_fast") for reply in replies} == {"too_fast"}
        assert len(taken) >= 10
        assert waiting_ids(settings.spool) == {UUID(identifier) for identifier in taken}


async def test_one_terminal_too_many_is_turned_away(tmp_path: Path) -> None:
    settings = some_settings(tmp_path, connections_max=1)
    async with open_door(settings) as door, door.terminal() as first:
        assert "taken" in (await first.say(a_measurement()))[0]
        async with door.terminal() as second:
            assert (await second.hear())["busy"] == "connections"
            assert await second.reader.read() == b""
        assert "taken" in (await first.say(a_measurement()))[0]


async def test_a_terminal_that_hears_nothing_is_cut_off(tmp_path: Path) -> None:
    settings = some_settings(tmp_path, reply_s_max=1)
    async with open_door(settings) as door, door.terminal() as deaf:
        async with asyncio.timeout(20):
            with pytest.raises(ConnectionError):
                await talk_on(deaf)


async def test_closing_sends_the_replies_that_are_due(tmp_path: Path) -> None:
    settings = some_settings(tmp_path)
    async with open_door(settings) as door, door.terminal() as terminal:
        first = (await terminal.say(a_measurement()))[0]
        terminal.writer.write(b"".join(a_measurement(n=i) + b"\n" for i in range(400)))
        await terminal.writer.drain()
        await asyncio.sleep(0.005)

        await door.listener.close()

        rest = [json.loads(line) for line in (await terminal.reader.read()).splitlines()]
        taken = {UUID(reply["taken"]) for reply in (first, *rest)}
        assert waiting_ids(settings.spool) == taken


async def test_the_card_number_is_in_no_file_and_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = some_settings(tmp_path, spool_rows_max=20)
    lines = [
        a_measurement(card_number=CARD),
        a_measurement(card_number=CARD, id="x"),
        a_measurement(card_number=CARD)[:-1],
        a_measurement(card_number=int(CARD[:-1])),
    ]
    async with open_door(settings) as door, door.terminal() as terminal:
        replies = await terminal.say(*lines * 10)

        files = contents(tmp_path)
        assert b"r-" in files["spool.db-wal"]
        said = json.dumps(replies).encode()
        for text in (*files.values(), caplog.text.encode(), said):
            assert CARD[:-1].encode() not in text


async def test_an_address_in_use_is_said(tmp_path: Path) -> None:
    async with open_door(some_settings(tmp_path)) as door:
        port = int(door.listener.address.rsplit(":", 1)[1])
        (tmp_path / "other").mkdir()
        with pytest.raises(ExceptionGroup) as caught:
            async with open_door(some_settings(tmp_path / "other", listen_port=port)):
                pass
        assert caught.group_contains(ListenError, match="cannot listen")
