"""SQL of the indicators' rows, for figures of all teams and for the persons behind one figure.

Every table and view in here is secured row by row, so that what is counted is what the principal
may see. Days are local; nothing calls now().
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from api.indicators.shown import Family, Shown

# No subquery in here asks for each row: figures could not be computed in parallel.
# What is counted of a person stands in one row: `fold_people` in the schema says how it came there.
_MANAGED: Final = """
WITH m AS (
    SELECT resident_id, team_id, 'hypertension' AS condition FROM indicator_standing
    WHERE managed_hypertension && daterange(%(first)s, %(known)s, '[]')
    UNION ALL
    SELECT resident_id, team_id, 'diabetes' FROM indicator_standing
    WHERE managed_diabetes && daterange(%(first)s, %(known)s, '[]'))
SELECT {selected}
FROM m
LEFT JOIN indicator_year y
    ON y.resident_id = m.resident_id AND y.condition = m.condition AND y.year = %(year)s
LEFT JOIN (SELECT DISTINCT resident_id FROM health_check
           WHERE day BETWEEN %(first)s AND %(known)s) h ON h.resident_id = m.resident_id"""
_OWED: Final = """
SELECT {selected}
FROM indicator_year y JOIN resident m ON m.id = y.resident_id"""
_FLAGS: Final = (
    *("hypertension", "diabetes", "maternal", "tuberculosis", "severe_mental_disorder"),
    *("disability", "elderly", "child", "signed", "owed", "fulfilled"),
)
_DATED: Final = " | ".join(
    f"(p.{flag} @> %(known)s::date IS TRUE)::int * {1 << n}" for n, flag in enumerate(_FLAGS[:6])
)
# What is joined sideways is computed once for a person, however often it is used.
_SIGNED: Final = f"""
WITH q AS (
    SELECT p.resident_id, p.team_id,
           {_DATED}
           | (p.birth_date <= (%(known)s::date - INTERVAL '65 years')::date IS TRUE)::int * 64
           | (p.birth_date > (%(known)s::date - INTERVAL '7 years')::date IS TRUE)::int * 128
           | (a.since IS NOT NULL)::int * 256
           | CASE WHEN v.promised > 0 THEN 512
                  | (bit_count(p.visited[array_position(p.visited_years, %(year)s::smallint)]
                               & %(up_to_known)s::bit(366)
                               >> greatest(a.since - %(new_year)s::date, 0))
                     >= v.promised IS TRUE)::int * 1024
                  ELSE 0 END AS kind
    FROM indicator_standing p
    LEFT JOIN LATERAL (
        SELECT width_bucket(%(known)s::date, p.contract_days) AS place) d ON true
    LEFT JOIN LATERAL (
        SELECT p.contract_since[d.place] AS since, p.contract_packages[d.place] AS package
        ) a ON true
    LEFT JOIN package k ON k.id = a.package
    LEFT JOIN LATERAL (
        SELECT CASE WHEN k.id IS NOT NULL OR a.package IS NULL THEN k.followups_per_year
                    ELSE followups_of_packages(a.package) END
               * (%(known)s::date - greatest(a.since, %(new_year)s::date) + 1) / 365 AS promised
        ) v ON true
    WHERE p.team_id IS NOT NULL AND p.registered_on <= %(known)s
      AND (p.gone @> %(known)s::date) IS NOT TRUE)
SELECT {{selected}}
FROM (SELECT k.*, {", ".join(f"kind >> {n} & 1 = 1 AS {flag}" for n, flag in enumerate(_FLAGS))}
      FROM {{rows}} AS k) AS m"""  # noqa: S608 - texts of this file
# A city has a million residents and a few thousand kinds of them: sums are of the kinds.
_KINDS: Final = "(SELECT team_id, kind, count(*) AS many FROM q GROUP BY team_id, kind)"

LOAD: Final = """
SELECT t.id AS team_id, t.centre_id,
       (SELECT count(*) FROM staff_team s JOIN staff w ON w.id = s.staff_id
        WHERE s.team_id = t.id AND w.since <= %(known)s
          AND (w.until IS NULL OR w.until >= %(known)s)) AS places,
       coalesce(c.open_cases, 0) AS open_cases, coalesce(c.overdue_cases, 0) AS overdue_cases
FROM team t
LEFT JOIN (
    SELECT team_id,
           count(*) FILTER (WHERE state NOT IN (
               'none', 'controlled', 'referral_closed', 'closed')) AS open_cases,
           count(*) FILTER (WHERE least(second_followup_due, referral_followup_due)
               < %(today)s) AS overdue_cases
    FROM resident_case GROUP BY team_id) c ON c.team_id = t.id
WHERE sees_everybody() OR t.id = ANY (seen_teams())
ORDER BY t.id"""
"""Also: which teams there are to be counted at all."""


@dataclass(frozen=True, slots=True)
class _Rows:
    statement: str
    person: str
    condition: str  # 'NULL::text' where rows are of persons.
    where: str
    kinds: str = "q"  # What sums are taken of, each row
    many: str = "1"  # so many times.


_FAMILIES: Final = {
    Family.MANAGED: _Rows(_MANAGED, "m.resident_id", "m.condition", "true"),
    Family.OWED: _Rows(_OWED, "y.resident_id", "y.condition", "y.year = %(year)s"),
    Family.SIGNED: _Rows(_SIGNED, "m.resident_id", "NULL::text", "true", _KINDS, "many"),
}


def figures(family: Family, expressions: Iterable[str]) -> str:
    """Sums of these expressions by team and condition, named ``f0``, ``f1``, ..."""
    rows = _FAMILIES[family]
    sums = [
        f"coalesce(sum(({each}) * {rows.many}), 0)::bigint AS f{n}"
        for n, each in enumerate(expressions)
    ]
    selected = ", ".join(["m.team_id", f"{rows.condition} AS condition", *sums])
    statement = rows.statement.format(selected=selected, rows=rows.kinds)
    return f"{statement} WHERE {rows.where} GROUP BY 1, 2"


def people(shown: Shown, *, side: str, team: bool, centre: bool, after: bool) -> str:
    """Persons behind one figure in order of pseudonym, and how much each counts."""
    rows = _FAMILIES[shown.family]
    numerator, denominator = shown.numerator, shown.denominator or "1"
    sides = {
        "denominator": f"{denominator} > 0",
        "numerator": f"{numerator} > 0",
        "rest": f"{denominator} > {numerator}",
    }
    wanted = [rows.where, sides[side]]
    if shown.condition is not None:
        wanted.append(f"{rows.condition} = %(condition)s")
    if team:
        wanted.append("m.team_id = %(team)s")
    if centre:
        wanted.append("m.team_id IN (SELECT id FROM team WHERE centre_id = %(centre)s)")
    if after:
        wanted.append(f"{rows.person} > %(after)s")
    selected = (
        f"{rows.person} AS resident_id, m.team_id, {numerator} AS numerator,"
        f" {denominator} AS denominator"
    )
    return (
        f"{rows.statement.format(selected=selected, rows='q')} WHERE {' AND '.join(wanted)}"
        f" ORDER BY {rows.person} LIMIT %(rows)s"
    )
