"""SQL of what stands beside a form: whom it is about. Reads only."""

from datetime import date
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.rows import DictRow

_PERSON: Final = """
SELECT r.id, r.birth_date, r.sex,
       (SELECT c.referral_hospitals -> 0 ->> 'name' FROM contract c
        WHERE c.resident_id = r.id AND c.since <= %(today)s
          AND coalesce(least(c.until, c.ended_on - 1), %(today)s) >= %(today)s
        ORDER BY c.since DESC LIMIT 1) AS hospital
FROM resident r WHERE r.id = %(resident)s"""
_CASES: Final = """
SELECT condition, state, LEAST(second_followup_due, referral_followup_due, next_routine_due) AS due
FROM resident_case WHERE resident_id = %(resident)s ORDER BY condition DESC"""


async def fetch_person(
    connection: AsyncConnection[DictRow], resident: str, today: date
) -> dict[str, Any] | None:
    """Who it is and how their cases stand; None: not there, or not to be seen."""
    values = {"resident": resident, "today": today}
    person = await (await connection.execute(_PERSON, values)).fetchone()
    if person is None:
        return None
    cases = await (await connection.execute(_CASES, values)).fetchall()
    return {**person, "cases": cases}


def nobody(resident: str) -> dict[str, Any]:
    """Beside a form that comes back while the database is away."""
    return {"id": resident, "sex": None, "age": None, "cases": [], "hospital": None}
