"""What retention has let go is neither lost nor a stranger; what is lost beside it is found."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from simulators.balance import Kind
from tests.fix_db import Database
from tests.integration.test_reconcile import AT, GATEWAY, Scene, kinds


@pytest.fixture
def scene(database: Database, tmp_path: Path) -> Iterator[Scene]:
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        yield Scene(tmp_path, connection, database.dsn)


def let_go(scene: Scene, many: int, *, counted: int | None = None, held: int = 0) -> None:
    """The first ones are dropped; of those behind them some are held."""
    ids = scene.ids
    scene.database.execute(
        "INSERT INTO retention (edge, set_at) VALUES (%s::timestamptz + interval '1 day', %s)",
        (AT, AT),
    )
    scene.database.execute("DELETE FROM reading WHERE id = ANY(%s)", (ids[:many],))
    scene.database.execute(
        "WITH moved AS (DELETE FROM reading WHERE id = ANY(%s) RETURNING *)"
        " INSERT INTO reading_held SELECT * FROM moved",
        (ids[many : many + held],),
    )
    scene.database.execute(
        "INSERT INTO gateway_retired VALUES (%s, %s)",
        [GATEWAY, many if counted is None else counted],
    )


def test_what_was_let_go_is_retired_and_what_is_held_is_stored(scene: Scene) -> None:
    scene.build()
    let_go(scene, 4, held=3)
    report = scene.run()

    assert report.agrees, report.differences
    (line,) = report.gateways
    assert (line.retired, line.stored, line.accepted) == (4, 6, 16)
    assert report.as_dict()["gateways"][GATEWAY]["retired"] == 4


def test_one_more_that_is_gone_is_lost(scene: Scene) -> None:
    scene.build()
    let_go(scene, 4, counted=3)

    assert sorted(kinds(scene.run())) == [
        (Kind.COUNTER, 1),
        (Kind.LOST, 1),
        (Kind.TOTALS, 1),
    ]


def test_one_let_go_that_nobody_sent_is_unknown(scene: Scene) -> None:
    scene.build()
    let_go(scene, 4, counted=5)
    scene.totals["stored"] += 1

    assert kinds(scene.run()) == [(Kind.UNKNOWN, 1)]


def test_one_that_was_let_go_and_came_again_counts_in_quarantine(scene: Scene) -> None:
    scene.build()
    let_go(scene, 4)
    scene.quarantine(scene.ids[0], b"again")
    scene.database.execute(
        "UPDATE quarantine SET reason = 'before_retention' WHERE reading_id = %s", (scene.ids[0],)
    )
    scene.totals["quarantined"] += 1
    report = scene.run()

    assert kinds(report) == [(Kind.UNEXPECTED, 1)]  # It was foretold as stored, and was.
    assert report.conserved
    assert (report.gateways[0].retired, report.gateways[0].quarantined) == (3, 3)


def test_a_lost_young_reading_is_never_excused(scene: Scene) -> None:
    scene.build()
    scene.database.execute("INSERT INTO retention (edge, set_at) VALUES (%s, %s)", (AT, AT))
    scene.database.execute("INSERT INTO gateway_retired VALUES (%s, 0)", (GATEWAY,))
    scene.database.execute("DELETE FROM reading WHERE id = %s", (scene.ids[4],))
    scene.totals["stored"] = 9

    assert (Kind.LOST, 1) in kinds(scene.run())
