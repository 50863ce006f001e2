"""What is dropped is never deleted, still counts, and a filter reaches its own items only."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.wire.errors import Reason
from ingest.db import quarantine
from ingest.db.connections import Connection
from ingest.db.quarantine_items import Selection
from tests.builders import AT, a_batch, a_glucose, enrol, to_bytes
from tests.fix_db import Database
from tests.integration.quarantine_bench import QuarantineBench, outcomes
from tests.integration.writer_bench import receipts_of
from tests.roles import prepare_ingest


@pytest_asyncio.fixture
async def bench(connection: Connection, database: Database, tmp_path: Path) -> QuarantineBench:
    await enrol(connection)
    await prepare_ingest(connection)
    return QuarantineBench(connection, database.dsn, tmp_path)


async def test_a_dropped_item_stays_quarantined_when_it_comes_again(
    bench: QuarantineBench,
) -> None:
    reading = a_glucose()
    await bench.refuse(reading)

    assert await bench.drop() == 1
    assert await bench.drop() == 0
    settled = await bench.send(reading)

    assert [len(receipt.quarantined) for receipt in receipts_of(settled)] == [1]
    assert await bench.resolutions() == [("dropped", True, "unknown_unit")]
    assert await bench.rows("SELECT dropped_by, dropped_because, payload FROM quarantine") == [
        ("dr-wang", "measured again", to_bytes(reading))
    ]
    assert outcomes(await bench.replay()) == {}
    assert bench.counts() == (0, 0, 1, 0)


async def test_what_was_dropped_by_mistake_is_replayed_by_its_number(
    bench: QuarantineBench,
) -> None:
    good, bad = a_glucose(), {**a_glucose(), "glucose": "Hi"}
    await bench.refuse(good, bad)
    await bench.drop()

    tally = await bench.replay(Selection(scope="unreplayed", numbers=[1, 2]))

    assert outcomes(tally) == {"stored": 1, "refused": 1}
    assert await bench.rows("SELECT resolution, dropped_by FROM quarantine ORDER BY 1") == [
        ("dropped", "dr-wang"),
        ("replayed", "dr-wang"),
    ]
    assert bench.counts() == (1, 0, 1, 1)


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        pytest.param({}, {1, 2, 3, 4}, id="all"),
        pytest.param({"reasons": ["unknown_unit"]}, {1, 2}, id="reason"),
        pytest.param({"reasons": ["implausible", "unknown_gateway"]}, {3, 4}, id="reasons"),
        pytest.param({"gateway": "gw-9"}, {4}, id="gateway"),
        pytest.param({"centre": "east"}, {1, 2, 3}, id="centre"),
        pytest.param({"device": "glu-2"}, {2}, id="device"),
        pytest.param({"device": "glu-"}, set(), id="part-of-a-device"),
        pytest.param({"device": "血糖仪 \\(1)"}, {3}, id="device-in-chinese"),
        pytest.param({"since": AT + timedelta(hours=1)}, {2, 3, 4}, id="since"),
        pytest.param({"until": AT + timedelta(hours=1)}, {1}, id="until"),
        pytest.param({"settles": True}, {1, 2, 3}, id="settled"),
        pytest.param({"settles": False}, {4}, id="unsettled"),
        pytest.param({"numbers": [2, 4]}, {2, 4}, id="numbers"),
    ],
)
async def test_a_filter_reaches_its_items_only(
    bench: QuarantineBench, selection: dict[str, Any], numbers: set[int]
) -> None:
    hour = timedelta(hours=1)
    chinese = to_bytes(a_glucose(device_id="X")).replace(b"X", "血糖仪 \\\\(1)".encode())
    await bench.refuse(a_glucose())
    await bench.refuse(a_glucose(device_id="glu-2"), at=AT + hour)
    await bench.refuse(a_glucose(), reason=Reason.IMPLAUSIBLE, at=AT + 2 * hour)
    await bench.connection.execute(
        "UPDATE quarantine SET payload = %s WHERE number = 3", (chinese,)
    )
    await bench.store(a_batch(a_glucose()), topic="suifang/v1/west/gw-9/readings", at=AT + 3 * hour)

    await bench.drop(Selection(**selection))

    found = await bench.rows("SELECT number FROM quarantine WHERE resolution = 'dropped'")
    assert {row[0] for row in found} == numbers


async def test_what_was_resolved_between_the_list_and_the_drop_stays_so(
    bench: QuarantineBench,
) -> None:
    await bench.refuse(a_glucose())
    await bench.refuse(a_glucose(at=AT + timedelta(hours=1)))
    await bench.replay(Selection(scope="unreplayed", numbers=[1]))
    await bench.drop(Selection(numbers=[2]))
    before = await bench.everything()

    dropped = await quarantine.drop(
        bench.connection, [1, 2], author="another", because="too late", at=AT
    )

    assert dropped == 0
    assert await bench.everything() == before
