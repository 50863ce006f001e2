"""A whole read in one message to PostgreSQL and one back: who asks, then what is asked.

libpq's pipeline mode: what lies before its Sync is one transaction, and where a statement fails the
rest is passed over, so nothing is ever asked as somebody who could not be set. It must never give
a connection back in that mode, or with an answer in it that nobody read: then it closes it.
"""

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, NamedTuple

from psycopg import AsyncConnection, OperationalError, adapt, errors, pq
from psycopg.abc import PQGen, Transformer
from psycopg.adapt import PyFormat
from psycopg.pq.abc import PGresult
from psycopg.rows import DictRow
from psycopg.waiting import Ready, Wait

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


class PooledConnection(AsyncConnection[DictRow]):
    """A connection that knows what was prepared on it for ``exchange``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - psycopg's to say
        super().__init__(*args, **kwargs)
        self.kept: OrderedDict[tuple[bytes, tuple[int, ...]], bytes] = OrderedDict()
        self.kept_so_far = 0


async def exchange(
    connection: PooledConnection, statements: Sequence[Statement]
) -> list[list[DictRow]]:
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
    connection: PooledConnection, statements: Sequence[Statement]
) -> list[list[DictRow]]:
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
    return [_load(each.transformer, results[end - 1]) for each, end in zip(sent, ends, strict=True)]


class _Sent(NamedTuple):
    transformer: Transformer
    answers: int  # The last one is what was asked for; one before it says that it is prepared.


def _send(connection: PooledConnection, statement: Statement) -> _Sent:
    server, answers = connection.pgconn, 1
    transformer: Transformer = adapt.Transformer(connection)
    text, names, formats = _with_numbers(statement.text)
    values = transformer.dump_sequence([statement.values[name] for name in names], formats)
    types = transformer.types or ()
    if not statement.is_kept:
        server.send_query_params(text, values, types, transformer.formats)
        return _Sent(transformer, answers)
    name = connection.kept.get((text, types))
    if name is None:
        connection.kept_so_far += 1
        name = b"kept_%d" % connection.kept_so_far
        server.send_prepare(name, text, types)
        connection.kept[text, types] = name
        answers += 1
        if len(connection.kept) > _KEPT_MAX:
            _, oldest = connection.kept.popitem(last=False)
            server.send_query_params(b"DEALLOCATE " + oldest, None)
            answers += 1
    else:
        connection.kept.move_to_end((text, types))
    server.send_query_prepared(name, values, transformer.formats)
    return _Sent(transformer, answers)


def _receive(server: pq.abc.PGconn) -> PQGen[list[PGresult]]:
    """Send what waits, then take every answer up to the Sync."""
    while server.flush():
        if (yield Wait.RW) & Ready.R:
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


def _load(transformer: Transformer, result: PGresult) -> list[DictRow]:
    transformer.set_pgresult(result)
    names = [(result.fname(number) or b"").decode() for number in range(result.nfields)]
    return transformer.load_rows(
        0, result.ntuples, lambda values: dict(zip(names, values, strict=True))
    )


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
