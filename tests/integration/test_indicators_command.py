"""``suifang indicators`` prints what the API would say to whoever sees everybody."""

import asyncio
import csv
import io
import json
from random import Random

from typer.testing import CliRunner, Result

from api.indicators.cli import app
from ingest.db.connections import Connection
from tests.fix_db import Database
from tests.integration.indicator_world import CENTRE_OF, make_city, store_city
from tests.integration.test_indicators import period_of
from tests.unit.rules.rules_indicators import expect


def run(database: Database, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["--database", database.dsn, *arguments])


async def test_figures_are_printed_as_json_as_a_table_and_as_lines(
    connection: Connection, database: Database
) -> None:
    city = make_city(Random(21), 50)  # noqa: S311 - repeatable on purpose
    await store_city(connection, city)
    counted, behind = expect(city.of_teams([*CENTRE_OF, None]), period_of("2025"))[
        "htn.standard_management_rate"
    ][:2]
    asked = ("--period", "2025", "--by", "city", "--code", "htn.standard_management_rate")

    told = await asyncio.to_thread(run, database, *asked, "--json")
    table = await asyncio.to_thread(run, database, *asked, "--csv")
    lines = await asyncio.to_thread(run, database, *asked)

    assert told.exit_code == table.exit_code == lines.exit_code == 0, told.stderr
    ((figure,),) = (item["figures"] for item in json.loads(told.stdout)["items"])
    assert (figure["numerator"], figure["denominator"]) == (counted, behind)
    (row,) = csv.DictReader(io.StringIO(table.stdout.removeprefix("\ufeff")))
    assert (row["numerator"], row["denominator"]) == (str(counted), str(behind))
    assert f"all: {counted}/{behind} = " in lines.stdout


def test_what_is_wrong_is_said_in_one_line(database: Database) -> None:
    for arguments, word in (
        (("--period", "2026-13"), "2026-Q3"),
        (("--period", "2099"), "nothing is known"),
        (("--period", "2026", "--by", "street"), "team, centre or city"),
        (("--period", "2026", "--code", "htn.happiness"), "no indicator"),
    ):
        result = run(database, *arguments)
        assert result.exit_code == 2
        assert word in result.stderr
        assert result.stderr.count("\n") == 1
