"""SQL of the indicators' rows, for figures of all teams and for the persons behind one figure.

Every table and view in here is secured row by row, so that what is counted is what the principal
may see. Days are local; nothing calls now().
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from api.indicators.shown import Family, Shown

# The day of a closure and that of a return are days on which somebody was followed.
_CLOSED: Final = """
turned AS (
    SELECT t.resident_id, t.kind, t.reason,
           (t.at AT TIME ZONE 'Asia/Shanghai')::date AS day,
           min((t.at AT TIME ZONE 'Asia/Shanghai')::date) FILTER (WHERE t.kind = 'return') OVER (
               PARTITION BY t.resident_id ORDER BY t.at, t.kind
               ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS back
    FROM indicator_turn t),
closed AS (
    SELECT resident_id, range_agg(daterange(day + 1, back)) AS days,
           range_agg(daterange(day + 1, back)) FILTER (WHERE reason IN ('death', 'moved')) AS gone
    FROM turned WHERE kind = 'closure' AND (back IS NULL OR back > day + 1)
    GROUP BY resident_id)"""
# Two pseudonyms of one person are one: the survivor, who has the diagnoses of both.
_DIAGNOSED: Final = """
diagnosed AS (
    SELECT coalesce(g.into_id, c.resident_id) AS resident_id, c.condition, c.since, c.until
    FROM indicator_condition c
    LEFT JOIN resident_merge g ON g.resident_id = c.resident_id AND g.unmerged_at IS NULL)"""
_MANAGED: Final = f"""
WITH {_CLOSED}, {_DIAGNOSED},
m AS (
    SELECT DISTINCT r.id AS resident_id, r.team_id, c.condition
    FROM resident r
    JOIN diagnosed c ON c.resident_id = r.id
    LEFT JOIN closed x ON x.resident_id = r.id
    WHERE c.condition IN ('hypertension', 'diabetes')
      AND greatest(r.enrolled_on, c.since, %(first)s::date) <= least(c.until, %(known)s::date)
      AND r.enrolled_on IS NOT NULL
      AND (x.days IS NULL OR NOT daterange(
          greatest(r.enrolled_on, c.since, %(first)s::date),
          least(c.until, %(known)s::date), '[]') <@ x.days))
SELECT {{selected}}
FROM m
LEFT JOIN indicator_year y
    ON y.resident_id = m.resident_id AND y.condition = m.condition AND y.year = %(year)s"""  # noqa: S608 - texts of this file
_OWED: Final = """
SELECT {selected}
FROM indicator_year y JOIN resident m ON m.id = y.resident_id"""
_SIGNED: Final = f"""
WITH {_CLOSED}, {_DIAGNOSED},
had AS (
    SELECT c.resident_id,
           bool_or(c.condition = 'hypertension') AS hypertension,
           bool_or(c.condition = 'diabetes') AS diabetes,
           bool_or(c.condition IN ('pregnant', 'lactating')) AS maternal,
           bool_or(c.condition = 'tuberculosis') AS tuberculosis,
           bool_or(c.condition = 'severe_mental_disorder') AS severe_mental_disorder,
           bool_or(c.condition = 'disability') AS disability
    FROM diagnosed c
    WHERE c.since <= %(known)s AND (c.until IS NULL OR c.until >= %(known)s)
    GROUP BY c.resident_id),
running AS (
    SELECT c.resident_id, min(c.since) AS since, max(p.followups_per_year) AS a_year
    FROM contract c JOIN package p ON p.id = c.package_id
    WHERE c.since <= %(known)s AND (c.until IS NULL OR c.until >= %(known)s)
      AND (c.ended_on IS NULL OR c.ended_on > %(known)s)
      AND (c.signed_on IS NULL OR c.signed_on <= %(known)s)
    GROUP BY c.resident_id),
visits AS (
    SELECT y.resident_id, bit_or(y.visited) AS days FROM indicator_year y
    WHERE y.year = %(year)s AND y.visited IS NOT NULL GROUP BY y.resident_id),
q AS (
    SELECT r.id AS resident_id, r.team_id,
           coalesce(h.hypertension, false) AS hypertension,
           coalesce(h.diabetes, false) AS diabetes,
           coalesce(h.maternal, false) AS maternal,
           coalesce(h.tuberculosis, false) AS tuberculosis,
           coalesce(h.severe_mental_disorder, false) AS severe_mental_disorder,
           coalesce(h.disability, false) AS disability,
           coalesce(r.birth_date <= %(known)s::date - INTERVAL '65 years', false) AS elderly,
           coalesce(r.birth_date > %(known)s::date - INTERVAL '7 years', false) AS child,
           c.resident_id IS NOT NULL AS signed,
           coalesce(c.a_year
               * (%(known)s::date - greatest(c.since, %(new_year)s::date) + 1) / 365, 0)
               AS promised,
           coalesce(bit_count(v.days & %(up_to_known)s::bit(366)
               >> greatest(c.since - %(new_year)s::date, 0)), 0) AS kept
    FROM resident r
    LEFT JOIN had h ON h.resident_id = r.id
    LEFT JOIN running c ON c.resident_id = r.id
    LEFT JOIN visits v ON v.resident_id = r.id
    LEFT JOIN closed x ON x.resident_id = r.id
    WHERE NOT r.stub AND r.team_id IS NOT NULL
      AND NOT EXISTS (SELECT FROM resident_merge g
                      WHERE g.resident_id = r.id AND g.unmerged_at IS NULL)
      AND (r.created_at AT TIME ZONE 'Asia/Shanghai')::date <= %(known)s
      AND (x.gone IS NULL OR NOT %(known)s::date <@ x.gone)),
m AS (
    SELECT q.*, promised > 0 AS owed, promised > 0 AND kept >= promised AS fulfilled FROM q)
SELECT {{selected}}
FROM {{rows}} AS m"""  # noqa: S608 - likewise

# A city has a million residents and a few thousand kinds of them: sums are of the kinds.
_FLAGS: Final = """team_id, hypertension, diabetes, maternal, tuberculosis,
    severe_mental_disorder, disability, elderly, child, signed, owed, fulfilled"""
_KINDS: Final = f"(SELECT {_FLAGS}, count(*) AS many FROM m GROUP BY {_FLAGS})"  # noqa: S608 - likewise

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
    kinds: str = "m"  # What sums are taken of, each row
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
        f"{rows.statement.format(selected=selected, rows='m')} WHERE {' AND '.join(wanted)}"
        f" ORDER BY {rows.person} LIMIT %(rows)s"
    )
