"""How an operator's command works on the database: as its owner, in one transaction.

It must never print a trace or a conninfo: what went wrong is one line on stderr that names the
command. Exit codes: 0 done; 1 not possible; 2 wrong usage.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, NoReturn, TypeVar

import typer
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row

from ingest.db.connections import with_limits
from ingest.db.errors import DatabaseError, translated

Dsn = Annotated[
    str,
    typer.Option("--database", envvar="SUIFANG_DB_DSN", help="PostgreSQL conninfo of the owner."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object.")]
ResultT = TypeVar("ResultT")


def run_in_transaction(
    command: str, dsn: str, work: Callable[[AsyncConnection[DictRow]], Awaitable[ResultT]]
) -> ResultT:
    """What ``work`` returns, committed; or one line on stderr and exit 1.

    Args:
        command: As typed after ``suifang``; also names the connection.
        dsn: Of the owner.
        work: Is given the connection, its transaction not yet begun.
    """

    async def transaction() -> ResultT:
        with translated():
            async with await AsyncConnection.connect(
                with_limits(dsn, application_name=f"suifang-{command}"), row_factory=dict_row
            ) as connection:
                return await work(connection)

    try:
        return asyncio.run(transaction())
    except DatabaseError as error:
        fail(command, str(error))


def print_line(text: str) -> None:
    """One line on stdout."""
    sys.stdout.write(text + "\n")


def fail(command: str, problem: str, *, code: int = 1) -> NoReturn:
    """One line on stderr, whatever line ends the problem holds, and the exit code."""
    sys.stderr.write(f"suifang {command}: {' '.join(problem.split())}\n")
    raise typer.Exit(code)
