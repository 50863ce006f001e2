"""Figures of everybody, for whoever owns the database: at a terminal, in a rehearsal."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.indicators import figures, queries
from api.indicators.periods import begun
from api.indicators.schemas import By, FiguresOut, PeriodOut
from api.indicators.settings import IndicatorSettings
from api.indicators.shown import Shown
from api.local_days import local_day

_SEE_ALL: Final = "SELECT set_config('role', 'suifang_api_all', true)"


async def compute_for_owner(
    connection: AsyncConnection[DictRow],
    period: str,
    by: By,
    wanted: Sequence[Shown],
    *,
    at: datetime,
) -> FiguresOut:
    """The figures of a period, past row-level security, as they are at the clock's ``at``.

    Args:
        connection: Of the owner, inside a transaction.
        period: As people name it.
        by: What a figure is of.
        wanted: Which indicators.
        at: The clock.

    Raises:
        BadParameterError: The period has not begun.
        ValueError: It is no period.
    """
    span = begun(period, local_day(at))
    settings = IndicatorSettings()
    await connection.execute(_SEE_ALL)  # So that `sees_everybody` holds.
    memory = f"{settings.sort_memory_kb}kB"
    await queries.bound(connection, statement_ms=settings.statement_ms_max, work_mem=memory)
    counts = await queries.count_by_team(connection, span, local_day(at), wanted)
    return FiguresOut(
        period=PeriodOut.of(span, local_day(at)),
        by=by,
        computed_at=at,
        items=list(figures.sum_up(counts, wanted, by=by, team=None, centre=None)),
    )
