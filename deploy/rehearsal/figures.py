"""The figures that a rehearsed town ends with: by the code behind ``suifang indicators``."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from psycopg import AsyncConnection
from psycopg.rows import dict_row

from api.indicators.computing import compute_for_owner
from api.indicators.shown import SHOWN
from ingest.db.errors import translated
from simulators.scenarios.outcome import FigureSeen
from simulators.series import SHANGHAI


async def compute_figures(dsn: str, codes: Sequence[str], *, at: datetime) -> dict[str, FigureSeen]:
    """These indicators of everybody, over the calendar year of the day that ends at ``at``.

    Args:
        dsn: The rehearsal's database, as the owner.
        codes: Of indicators.
        at: The clock: a local midnight, in whatever zone.

    Raises:
        DatabaseError: The database is gone.
    """
    year = str((at.astimezone(SHANGHAI) - timedelta(days=1)).year)
    wanted = [SHOWN[code] for code in codes]
    with translated():
        async with await AsyncConnection.connect(dsn, row_factory=dict_row) as connection:
            found = await compute_for_owner(connection, year, "city", wanted, at=at)
    return {
        each.code: FigureSeen(
            None if figure.percent is None else Decimal(figure.percent.removesuffix("%").strip()),
            figure.numerator,
            figure.denominator,
        )
        for each in found.items
        for figure in each.figures
    }
