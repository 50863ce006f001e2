"""The parts that judge an upgrade see what is wrong.

The upgrade itself needs an older version out of git, and minutes: ``make upgrade``.
"""

import json

import httpx
import pytest

from tests.upgrade.reader import PATHS, Reader
from tests.upgrade.receiver import EVENTS, PEOPLE, a_receiver


@pytest.mark.parametrize(
    ("numbers", "faults"),
    [
        pytest.param([4, 5, 6], [], id="in-order"),
        pytest.param([4, 5, 5, 4, 6], [], id="again-after-a-takeover"),
        pytest.param([4, 6, 5], ["event 5 came behind 6"], id="out-of-order"),
        pytest.param([4, 6], ["event 5 never came"], id="missing"),
    ],
)
def test_a_subscriber_s_events_are_judged(numbers: list[int], faults: list[str]) -> None:
    with a_receiver() as receiver:
        for number in numbers:
            body = json.dumps({"number": number}).encode()
            httpx.post(receiver.address(EVENTS), content=body).raise_for_status()
        httpx.post(receiver.address(PEOPLE), content=b"{}").raise_for_status()

        assert receiver.numbers == numbers
        assert receiver.pages == 1
        assert receiver.find_faults() == faults


def test_a_reader_asks_for_what_was_there_and_notes_each_answer_that_fails() -> None:
    there, broken, busy = set(PATHS[:2]), False, [503]

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode()
        if not broken:
            return httpx.Response(200 if path in there else 404)
        return httpx.Response(busy.pop() if busy else 500, text=path)

    transport = httpx.MockTransport(answer)
    with httpx.Client(base_url="http://api", transport=transport) as client:
        reader = Reader(client)
        assert set(reader.paths) == there
        broken = True
        reader.run()  # It gives up after some.

    assert len(reader.faults) >= 10
    assert reader.again == 1
    assert all(" 500 " in fault for fault in reader.faults)
