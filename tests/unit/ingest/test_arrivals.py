"""What waits is bounded, keeps its order, and live deliveries go first."""

import asyncio

from ingest.arrivals import Arrivals, collect, is_full, take
from ingest.deliveries import Delivery
from ingest.settings import BatchSettings


def _deliveries(channel: str, *sizes: int, first: int = 1) -> list[Delivery]:
    topic = f"suifang/v1/east/gw-1/{channel}"
    return [
        Delivery(topic, b"x" * size, number, 1, redelivered=False)
        for number, size in enumerate(sizes, first)
    ]


def _limits(messages_max: int = 10, bytes_max: int = 1_000, age_ms_max: int = 1) -> BatchSettings:
    return BatchSettings(
        messages_max=messages_max,
        bytes_max=bytes_max,
        age_ms_max=age_ms_max,
        busy_age_ms_max=age_ms_max,
    )


async def test_live_deliveries_go_before_the_backlog_and_both_keep_their_order() -> None:
    live, backlog = Arrivals(100), Arrivals(100, backlog=True)
    old, new = _deliveries("backlog", 1, 1, 1), _deliveries("readings", 1, 1)
    assert backlog.put(old)
    assert live.put(new)

    assert take((live, backlog), _limits(messages_max=4)) == [*new, *old[:2]]
    assert take((live, backlog), _limits(messages_max=4)) == old[2:]
    assert take((live, backlog), _limits()) == []


async def test_a_full_live_batch_leaves_no_room_for_the_backlog() -> None:
    live, backlog = Arrivals(100), Arrivals(100, backlog=True)
    live.put(_deliveries("readings", 400, 700))
    backlog.put(_deliveries("backlog", 1))

    assert len(take((live, backlog), _limits())) == 2
    assert len(backlog) == 1


async def test_bytes_bound_a_batch_but_one_message_always_passes() -> None:
    live = Arrivals(100)
    large = _deliveries("readings", 5_000, 5_000)
    live.put(large)

    assert live.take(10, 1_000) == large[:1]
    assert live.bytes_waiting == 5_000
    assert live.news.is_set()
    assert live.take(10, 1_000) == large[1:]
    assert live.bytes_waiting == 0
    assert not live.news.is_set()


async def test_more_than_the_window_is_not_taken() -> None:
    live = Arrivals(2)

    assert live.put(_deliveries("readings", 1, 1))
    assert not live.put(_deliveries("readings", 1))
    assert len(live) == 2
    live.forget()
    assert (len(live), live.bytes_waiting, live.news.is_set()) == (0, 0, False)


async def test_collecting_waits_for_either_channel_and_survives_a_broken_connection() -> None:
    for which in range(2):
        channels = Arrivals(10), Arrivals(10)
        work = asyncio.create_task(collect(channels, _limits(age_ms_max=20)))
        await asyncio.sleep(0)
        channels[which].put(_deliveries("readings", 1))
        await asyncio.sleep(0)
        channels[which].forget()  # The connection broke while the batch was growing.
        channels[which].put(_deliveries("readings", 2, first=9))
        assert [delivery.packet_id for delivery in await work] == [9]


async def test_a_full_batch_does_not_linger() -> None:
    live, backlog = Arrivals(100), Arrivals(100, backlog=True)
    limits = _limits(messages_max=2, age_ms_max=1_000_000)
    live.put(_deliveries("readings", 1))
    assert not is_full((live, backlog), limits)
    backlog.put(_deliveries("backlog", 1))

    assert is_full((live, backlog), limits)
    assert len(await collect((live, backlog), limits)) == 2


async def test_of_two_live_sessions_the_one_that_waits_longer_goes_first() -> None:
    first, second = Arrivals(100), Arrivals(100)
    for number, (channel, other) in enumerate(((first, second), (second, first))):
        early, late = _deliveries("readings", 1), _deliveries("readings", 1, first=2 + number)
        channel.put(early)
        await asyncio.sleep(0.001)
        other.put(late)
        assert take((first, second), _limits()) == [*early, *late]
