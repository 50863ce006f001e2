"""Figures from counts of teams: summed up, and never 0 where nothing can be said."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction

from api.indicators.queries import Counts, TeamCounts
from api.indicators.schemas import By, DefinitionOut, Figure, IndicatorOut
from api.indicators.shown import Shown

PLACES = 4


def sum_up(
    found: TeamCounts, wanted: Iterable[Shown], *, by: By, team: str | None, centre: str | None
) -> Iterator[IndicatorOut]:
    """Each indicator with a figure for every team, every centre, or one of all.

    Args:
        found: From ``queries.count_by_team``.
        wanted: Among the counted ones.
        by: What a figure is of.
        team: Only of this team; None: of all.
        centre: Only of teams of this centre; None: of all.
    """
    for shown in wanted:
        groups: defaultdict[tuple[str | None, str | None], list[Counts]] = defaultdict(list)
        if by == "city":
            groups[None, None] = []
        for of_team, counts in found.counts[shown.code].items():
            of_centre = found.centre_of[of_team]
            if team not in {None, of_team} or centre not in {None, of_centre}:
                continue
            key = {"team": (of_centre, of_team), "centre": (of_centre, None), "city": (None, None)}
            groups[key[by]].append(counts)
        yield IndicatorOut(
            **DefinitionOut.of(shown).model_dump(),
            figures=[
                figure(shown, *_total(counts), centre_id=of_centre, team_id=of_team)
                for (of_centre, of_team), counts in sorted(groups.items(), key=_by_name)
            ],
        )


def _by_name(item: tuple[tuple[str | None, str | None], object]) -> tuple[str, str]:
    centre, team = item[0]
    return centre or "", team or ""


def _total(counts: Iterable[Counts]) -> Counts:
    numerator, denominator, estimated = 0, 0, True
    for n, d in counts:
        numerator += n
        denominator += d or 0
        estimated = estimated and d is not None
    return numerator, denominator if estimated else None


def figure(
    shown: Shown,
    numerator: int,
    denominator: int | None,
    *,
    centre_id: str | None,
    team_id: str | None,
) -> Figure:
    """One number."""
    ratio = Fraction(numerator, denominator) if denominator else None
    share = shown.unit != "per_place"
    return Figure(
        centre_id=centre_id,
        team_id=team_id,
        numerator=numerator,
        denominator=denominator,
        ratio=None if ratio is None else _decimal(ratio, PLACES),
        percent=_decimal(ratio * 100, 2) + "%" if ratio is not None and share else None,
    )


def _decimal(value: Fraction, places: int) -> str:
    """Rounded half up, without zeros at the end."""
    scaled = (value * 10**places + Fraction(1, 2)).__floor__()
    whole, rest = divmod(scaled, 10**places)
    return f"{whole}.{rest:0{places}d}".rstrip("0").removesuffix(".")
