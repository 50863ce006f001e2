"""At a shared terminal a reading is the person's whose card lies there, or nobody's."""

import asyncio
import json
import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from gateway.card_sessions import CardDesk, Place
from gateway.errors import Refusal, RefusedError
from gateway.fetched import Mark
from gateway.identity import pseudonym
from gateway.prompts import PromptRouter
from gateway.wire.receipts import Prompted
from gateway.wire.times import format_instant
from tests.unit.gateway.gateway_builders import KEY, HandClock, a_measurement, some_settings

ANN, BOB = "99000019490101001X", "990000198002290036"
IDLE_S, SESSION_S = 420, 1_800


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def desk(tmp_path: Path, clock: HandClock) -> CardDesk:
    router = PromptRouter(age_s_max=120, monotonic_s=clock.monotonic_s)
    return CardDesk(KEY, some_settings(tmp_path), clock, clock.monotonic_s, router)


@pytest.fixture
def place(desk: CardDesk) -> Place:
    return desk.place()


def order(place: Place, **fields: object) -> dict[str, Any]:
    answer = place.obey(json.dumps(fields).encode())
    assert answer is not None
    return answer


def read_card(place: Place, number: str = ANN, **fields: object) -> dict[str, Any]:
    return order(place, session="open", card_number=number, **fields)


def owner(place: Place, **fields: object) -> str | None:
    """Whose card the reading would be given to."""
    line, mine = place.claim(a_measurement(**fields))
    resident = json.loads(line).get("resident_id")
    assert mine == (resident is not None)
    names = {pseudonym(KEY, ANN): "ann", pseudonym(KEY, BOB): "bob"}
    return None if resident is None else names[resident]


def ago(clock: HandClock, seconds: float) -> str:
    return format_instant(clock() - timedelta(seconds=seconds))


def test_readings_are_the_persons_from_card_to_close(place: Place) -> None:
    assert owner(place) is None
    assert read_card(place) == {
        "session": "opened",
        "number": 1,
        "seconds": IDLE_S,
        "warning": "unknown_place",
    }
    assert [owner(place), owner(place)] == ["ann", "ann"]
    assert order(place, session="close") == {"session": "closed"}
    assert owner(place) is None
    assert order(place, session="close") == {"session": "closed"}


def test_the_next_card_ends_the_session_before(place: Place) -> None:
    read_card(place)
    read_card(place, BOB)

    assert owner(place) == "bob"


@pytest.mark.parametrize(
    "line",
    [
        b'{"session":"open","card_number":"990000194901010010"}',
        b'{"session":"open"}',
        b'{"session":"open","card_number":"99000019490101001X","card_number":"1"}',
        b'{"session":"open","card_number":"99000019490101001X","name":"x"}',
        b'{"session":"open","card_number":"99000019490101001X","devices":"bp-1"}',
        b'{"session":"open","card_number":"1","document":"library_card"}',
        b'{"s\\u0065ssion":"open","card_number":"1234567890123456"}',
    ],
)
def test_a_card_that_cannot_be_read_is_still_somebody_elses(place: Place, line: bytes) -> None:
    read_card(place)

    with pytest.raises(RefusedError) as caught:
        place.obey(line)

    assert owner(place) is None
    assert b"9901010" not in str(caught.value).encode()


def test_without_a_key_nobody_is_known(tmp_path: Path, clock: HandClock) -> None:
    router = PromptRouter(age_s_max=120, monotonic_s=clock.monotonic_s)
    desk = CardDesk(None, some_settings(tmp_path), clock, clock.monotonic_s, router)

    with pytest.raises(RefusedError) as caught:
        read_card(desk.place())

    assert caught.value.code is Refusal.NO_PSEUDONYM_KEY


def test_a_session_ends_when_nothing_happens(place: Place, clock: HandClock) -> None:
    read_card(place)
    clock.advance(IDLE_S - 1)
    assert owner(place) == "ann"
    clock.advance(IDLE_S - 1)
    assert owner(place) == "ann"
    clock.advance(IDLE_S)
    assert owner(place) is None
    clock.advance(-IDLE_S)  # Over is over.
    assert owner(place) is None


def test_a_session_ends_however_much_happens(place: Place, clock: HandClock) -> None:
    read_card(place)
    owners = []
    for _ in range(SESSION_S // 60 + 2):
        clock.advance(60)
        owners.append(owner(place))

    assert owners == ["ann"] * (SESSION_S // 60 - 1) + [None] * 3


def test_a_line_that_says_whose_it_is_keeps_its_word(place: Place) -> None:
    read_card(place)

    for said in ({"resident_id": "r-9"}, {"card_number": BOB}, {"card_number": None}):
        line, mine = place.claim(a_measurement(**said))
        assert not mine
        assert json.loads(line).items() >= said.items()


def test_a_late_context_is_of_a_record_not_of_a_person(place: Place) -> None:
    read_card(place)

    assert owner(place, kind="glucose_context", device_sequence=7) is None
    assert owner(place, sample="control_solution") is None


def test_a_late_reading_of_the_person_before_is_nobodys(place: Place, clock: HandClock) -> None:
    first = read_card(place)["number"]
    taken = ago(clock, 0)
    clock.advance(60)
    second = read_card(place, BOB)["number"]

    assert owner(place, measured_at=taken) is None
    assert owner(place, session=first) is None
    assert owner(place, session=second) == "bob"
    clock.advance(30)
    assert owner(place, measured_at=ago(clock, 29)) == "bob"


@pytest.mark.parametrize("wrong", [True, 1.5, None, [1], {"a": 1}])
def test_a_session_that_is_none_is_nobodys_and_does_not_travel(place: Place, wrong: object) -> None:
    read_card(place)

    line, mine = place.claim(a_measurement(session=wrong))

    assert not mine
    assert "session" not in json.loads(line)


def test_the_number_of_a_session_never_travels(place: Place) -> None:
    line, mine = place.claim(a_measurement(session=1))

    assert not mine
    assert "session" not in json.loads(line)


@pytest.mark.parametrize(
    ("fields", "whose"),
    [
        pytest.param({"stored_record": True}, None, id="a-record-without-a-time"),
        pytest.param({"stored_record": True, "measured_s": 10}, None, id="by-a-clock-unknown"),
        pytest.param(
            {"stored_record": True, "measured_s": 10, "device_s": 0}, "ann", id="placed-inside"
        ),
        pytest.param(
            {"stored_record": True, "measured_s": 61, "device_s": 0}, None, id="before-the-card"
        ),
        pytest.param({"measured_s": 10}, "ann", id="live-inside"),
        pytest.param({"measured_s": 60}, "ann", id="live-at-the-card"),
        pytest.param({"measured_s": 61}, None, id="live-before-the-card"),
        pytest.param({"measured_s": -5}, "ann", id="live-a-little-ahead"),
        pytest.param({"measured_s": -6}, None, id="live-a-clock-that-is-wrong"),
        pytest.param({"measured_s": 3_610, "device_s": 3_600}, "ann", id="slow-clock-corrected"),
        pytest.param({"measured_s": -3_530, "device_s": -3_600}, None, id="fast-clock-corrected"),
        pytest.param({"measured_s": 86_400 * 9_000}, None, id="a-clock-of-2001"),
        pytest.param({"measured_at": "yesterday"}, None, id="no-time"),
        pytest.param({"measured_at": 5}, None, id="a-number"),
        pytest.param({"measured_s": 10, "device_now": "soon"}, None, id="no-device-time"),
        pytest.param({"stored_record": "yes"}, None, id="no-truth"),
        pytest.param({"stored_record": []}, None, id="a-list"),
        pytest.param({"stored_record": 0}, None, id="a-zero"),
    ],
)
def test_what_cannot_be_placed_inside_the_session_is_nobodys(
    place: Place, clock: HandClock, fields: dict[str, Any], whose: str | None
) -> None:
    read_card(place)
    clock.advance(60)
    for name, field in (("measured_s", "measured_at"), ("device_s", "device_now")):
        if name in fields:
            fields = {**fields, field: ago(clock, fields[name])}
            del fields[name]

    assert owner(place, **fields) == whose


def test_numbers_keep_their_literals(place: Place) -> None:
    read_card(place)

    line, _ = place.claim(b'{"kind":"glucose","glucose" : 7.00,"note":"\\u9910"}')

    assert b'"glucose" : 7.00' in line
    assert b'"note":"\\u9910"' in line


def test_orders_and_measurements_are_told_apart(place: Place) -> None:
    assert place.obey(a_measurement()) is None
    assert place.obey(a_measurement(session=3)) is None
    assert place.obey(a_measurement(note="\\session")) is None
    assert order(place, prompts="on") == {"prompts": "on"}
    assert place.wants_prompts
    assert order(place, prompts="off") == {"prompts": "off"}
    for wrong in ({"session": "begin"}, {"prompts": "maybe"}, {"session": "close", "prompts": 1}):
        with pytest.raises(RefusedError) as caught:
            order(place, **wrong)
        assert caught.value.code is Refusal.INVALID_ORDER


def _story(dice: random.Random) -> Iterator[tuple[str, Any]]:
    for _ in range(dice.randrange(5, 60)):
        yield dice.choice(
            [
                ("wait", dice.choice([0.5, 20, 300, 500])),
                ("card", dice.choice([ANN, BOB])),
                ("bad card", None),
                ("close", None),
                ("live", None),
                ("late", dice.choice([1, 30, 400, 2_000])),
            ]
        )


@pytest.mark.parametrize("seed", range(200))
def test_nobody_ever_gets_the_reading_of_another(
    desk: CardDesk, clock: HandClock, seed: int
) -> None:
    """Who truly stood there is written down beside; a reading is theirs or nobody's."""
    place = desk.place()
    dice = random.Random(seed)  # noqa: S311 - repeatable
    stood: list[tuple[float, str | None]] = [(0.0, None)]  # Since when, who.
    for what, detail in _story(dice):
        if what == "wait":
            clock.advance(detail)
        elif what == "card":
            read_card(place, detail)
            stood.append((clock.monotonic_s(), "ann" if detail == ANN else "bob"))
        elif what == "bad card":
            with pytest.raises(RefusedError):
                read_card(place, "990000194901010010")
            stood.append((clock.monotonic_s(), None))
        elif what == "close":
            order(place, session="close")
            stood.append((clock.monotonic_s(), None))
        else:
            age_s = detail or 0.0
            at_s = clock.monotonic_s() - age_s
            true = next((who for since, who in reversed(stood) if since <= at_s), None)
            assert owner(place, measured_at=ago(clock, age_s)) in {true, None}


class Cuff:
    """An instrument on the radio; remembers whose each reading became."""

    def __init__(self, desk: CardDesk) -> None:
        self.owners: list[str | None] = []
        self._capture = desk.claiming(self._take)

    def _take(self, raw: bytes, *, mark: Mark | None = None) -> asyncio.Future[UUID]:
        del mark
        names = {pseudonym(KEY, ANN): "ann", pseudonym(KEY, BOB): "bob"}
        self.owners.append(names.get(json.loads(raw).get("resident_id")))
        taking = asyncio.get_running_loop().create_future()
        taking.set_result(UUID(int=len(self.owners)))
        return taking

    async def measure(self, device_id: str = "cuff-1", **fields: object) -> str | None:
        """Take one, and say whose it became."""
        await self._capture(a_measurement(device_id=device_id, **fields))
        return self.owners[-1]


async def test_an_instrument_without_a_reader_follows_the_session_that_names_it(
    desk: CardDesk,
) -> None:
    first, second, cuff = desk.place(), desk.place(), Cuff(desk)
    assert await cuff.measure() is None

    read_card(first, devices=["cuff-1", "meter-1"])
    assert await cuff.measure() == "ann"
    assert await cuff.measure("cuff-2") is None
    assert await cuff.measure(stored_record=True) is None

    read_card(second, BOB, devices=["cuff-1"])
    assert await cuff.measure() == "bob"
    first.close()
    assert await cuff.measure() == "bob"
    second.close()
    assert await cuff.measure() is None
    assert not desk.bound


async def test_words_about_its_readings_are_shown_where_the_card_lies(desk: CardDesk) -> None:
    place, cuff, shown = desk.place(), Cuff(desk), list[int]()

    def show(prompt: Prompted) -> bool:
        shown.append(prompt.id.int)
        return True

    place.screen = show
    read_card(place, devices=["cuff-1"])
    await cuff.measure()
    await cuff.measure(stored_record=True)
    await asyncio.sleep(0)
    words = [Prompted(id=UUID(int=number), code="call_staff", text="x") for number in (1, 2)]

    desk.prompts.deliver(words)
    place.close()
    desk.prompts.deliver(words)

    assert shown == [1]
    assert desk.prompts.dropped == 3
