"""A whole read in one message to PostgreSQL and one back: who asks, then what is asked.

libpq's pipeline mode: what lies before its Sync is one transaction, and where a statement fails the
rest is passed over, so nothing is ever asked as somebody who could not be set. It must never give
a connection back in that mode, or with an answer in it that nobody read: then it closes it.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection, OperationalError, adapt, errors, pq
from psycopg.abc import AdaptContext, PQGen, Transformer
from psycopg.adapt import PyFormat
from psycopg.pq.abc import PGresult
from psycopg.rows import DictRow
from psycopg.waiting import Ready as Readiness
from psycopg.waiting import Wait

Values = tuple[Any, ...]
_KEPT_MAX: Final = 200  # Prepared statements of a connection.
_TEXTS_MAX: Final = 1_000
_PLACE: Final = re.compile(rb"%\((\w+)\)s|%%")
_FAILED: Final = {pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE}


class Statement(NamedTuple):
    """One statement, and its values by name, ``%(name)s``."""

    text: bytes
    values: Mapping[str, Any]
    is_kept: bool = True  # Planned once for any values, not anew for these.

    async def run(self, connection: AsyncConnection[DictRow]) -> list[DictRow]:
        """Its rows, as one of several statements of a transaction."""
        prepare = None if self.is_kept else False
        cursor = await connection.execute(self.text, self.values, prepare=prepare)
        return await cursor.fetchall()


class Ready(NamedTuple):
    """A statement as it goes on the wire: its values are written out once for all times."""

    text: bytes
    values: Sequence[Any]
    types: tuple[int, ...]
    formats: Sequence[pq.Format] | None
    is_kept: bool


class Answer(NamedTuple):
    """What one statement found: each row the values of the columns, in their order."""

    columns: tuple[str, ...]
    rows: list[Values]

    def row(self, number: int) -> DictRow:
        """One row, by the names of its columns."""
        return dict(zip(self.columns, self.rows[number], strict=True))

    def as_dicts(self) -> list[DictRow]:
        """All rows so; of a long list half of what it costs to read it."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


@dataclass(slots=True)
class _Kept:
    """A prepared statement, and how its answers are read: found out from the first of them."""

    name: bytes
    transformer: Transformer
    columns: tuple[str, ...] | None = None


class PooledConnection(AsyncConnection[DictRow]):
    """A connection that knows what was prepared on it for ``exchange``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - psycopg's to say
        super().__init__(*args, **kwargs)
        self.kept: OrderedDict[tuple[bytes, tuple[int, ...]], _Kept] = OrderedDict()
        self.kept_so_far = 0


def make_ready(statement: Statement, context: AdaptContext | None = None) -> Ready:
    """Write its values out; without a context as for any connection."""
    transformer: Transformer = adapt.Transformer(context)
    text, names, formats = _with_numbers(statement.text)
    values = transformer.dump_sequence([statement.values[name] for name in names], formats)
    return Ready(text, values, transformer.types or (), transformer.formats, statement.is_kept)


async def exchange(
    connection: PooledConnection, statements: Sequence[Statement | Ready]
) -> list[Answer]:
    """Ask all in one implicit transaction of an idle connection; the rows of each.

    Waits until all is answered: ``statement_timeout`` bounds each. Cancelled, it cancels what
    runs. What fails raises psycopg's error, and the transaction is undone.
    """
    try:
        return await _exchange(connection, statements)
    except errors.InvalidSqlStatementName:
        # After a rollback psycopg forgets everything that was prepared, also what is ours.
        connection.kept.clear()
        return await _exchange(connection, statements)


async def _exchange(
    connection: PooledConnection, statements: Sequence[Statement | Ready]
) -> list[Answer]:
    server = connection.pgconn
    server.enter_pipeline_mode()
    try:
        sent = [_send(connection, statement) for statement in statements]
        server.pipeline_sync()
        results = await connection.wait(_receive(server))
    finally:
        if server.transaction_status == pq.TransactionStatus.IDLE:
            server.exit_pipeline_mode()
        else:
            await connection.close()
    for result in results:
        if result.status in _FAILED:
            raise errors.error_from_result(result)
    ends = accumulate(each.answers for each in sent)
    return [_load(each.kept, results[end - 1]) for each, end in zip(sent, ends, strict=True)]


class _Sent(NamedTuple):
    kept: _Kept
    answers: int  # The last one is what was asked for; one before it says that it is prepared.


def _send(connection: PooledConnection, statement: Statement | Ready) -> _Sent:
    server, answers = connection.pgconn, 1
    if isinstance(statement, Statement):
        statement = make_ready(statement, connection)
    text, values, types, formats, is_kept = statement
    if not is_kept:
        server.send_query_params(text, values, types, formats)
        return _Sent(_Kept(b"", adapt.Transformer(connection)), answers)
    kept = connection.kept.get((text, types))
    if kept is None:
        connection.kept_so_far += 1
        kept = _Kept(b"kept_%d" % connection.kept_so_far, adapt.Transformer(connection))
        server.send_prepare(kept.name, text, types)
        connection.kept[text, types] = kept
        answers += 1
        if len(connection.kept) > _KEPT_MAX:
            _, oldest = connection.kept.popitem(last=False)
            server.send_query_params(b"DEALLOCATE " + oldest.name, None)
            answers += 1
    else:
        connection.kept.move_to_end((text, types))
    server.send_query_prepared(kept.name, values, formats)
    return _Sent(kept, answers)


def _receive(server: pq.abc.PGconn) -> PQGen[list[PGresult]]:
    """Send what waits, then take every answer up to the Sync."""
    while server.flush():
        if (yield Wait.RW) & Readiness.R:
            server.consume_input()
    found: list[PGresult] = []
    while True:
        while server.is_busy():
            yield Wait.R
            server.consume_input()
        result = server.get_result()
        if result is None:  # Between two statements.
            if server.status != pq.ConnStatus.OK:
                msg = "the connection is lost"
                raise OperationalError(msg)
        elif result.status == pq.ExecStatus.PIPELINE_SYNC:
            return found
        else:
            found.append(result)


def _load(kept: _Kept, result: PGresult) -> Answer:
    """Its rows. Types of a prepared statement are those of its first answer: PostgreSQL sees to it.

    A result is held no longer than it is read.
    """
    transformer, is_first = kept.transformer, kept.columns is None
    if kept.columns is None:
        names = ((result.fname(number) or b"").decode() for number in range(result.nfields))
        kept.columns = tuple(names)
    transformer.set_pgresult(result, set_loaders=is_first)
    rows: list[Values] = transformer.load_rows(0, result.ntuples, tuple)
    transformer.set_pgresult(None, set_loaders=False)
    return Answer(kept.columns, rows)


@lru_cache(maxsize=_TEXTS_MAX)
def _with_numbers(text: bytes) -> tuple[bytes, tuple[str, ...], list[PyFormat]]:
    """The text with ``$1`` where ``%(name)s`` was, and the names in their order."""
    names: list[bytes] = []

    def number(found: re.Match[bytes]) -> bytes:
        name = found[1]
        if name is None:
            return b"%"
        if name not in names:
            names.append(name)
        return b"$%d" % (names.index(name) + 1)

    numbered = _PLACE.sub(number, text)
    return numbered, tuple(map(bytes.decode, names)), [PyFormat.AUTO] * len(names)
