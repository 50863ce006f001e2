"""Charts as SVG elements to stand in a page: no script, no outside file, colours of the page.

A chart of an hour has no more points than one can see: of each column of pixels the highest value
stays, so a peak is never smoothed away.
"""

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

from simulators.report.model import Chart, Series, english

_WIDTH: Final = 720
_HEIGHT: Final = 220
_LEFT: Final = 64
_RIGHT: Final = 8
_TOP: Final = 10
_BOTTOM: Final = 26
_POINTS_MAX: Final = 480
_TICKS: Final = 5
_CHARACTER: Final = 7  # Pixels, about.
_COLOURS: Final = 8  # --line-1 to --line-8 of the page.


class _Scale(NamedTuple):
    """Where a value stands on an axis."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """Pixels."""
        low, high, value = (
            (math.log10(each) for each in (self.low, self.high, value))
            if self.logarithmic
            else (self.low, self.high, value)
        )
        return self.start + (value - low) / ((high - low) or 1.0) * (self.end - self.start)


def draw(chart: Chart) -> str:
    """One chart."""
    lines = [_thinned(series, logarithmic=chart.logarithmic) for series in chart.series]
    points = [point for line in lines for point in line if point[1] is not None]
    if not points:
        return '<p class="quiet">–</p>'
    x = _Scale(min(at for at, _ in points), max(at for at, _ in points), _LEFT, _WIDTH - _RIGHT)
    values = [value for _, value in points if value is not None]
    y = _vertical(values, logarithmic=chart.logarithmic)
    label = escape(english(chart.title))
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">',
        *_draw_grid(x, y, chart),
    ]
    for number, line in enumerate(lines):
        colour = f"var(--line-{number % _COLOURS + 1})"
        for part in _unbroken(line):
            path = " ".join(f"{x.at(at):.1f},{y.at(value):.1f}" for at, value in part)
            if len(part) == 1:
                at, value = part[0]
                parts.append(
                    f'<circle cx="{x.at(at):.1f}" cy="{y.at(value):.1f}" r="2" fill="{colour}"/>'
                )
            else:
                parts.append(f'<polyline points="{path}" stroke="{colour}"/>')
    return "".join([*parts, "</svg>"])


def _vertical(values: Sequence[float], *, logarithmic: bool) -> _Scale:
    ends = (_HEIGHT - _BOTTOM, _TOP)
    if logarithmic:
        low = 10.0 ** math.floor(math.log10(min(values)))
        high = 10.0 ** math.ceil(math.log10(max(values)))
        return _Scale(low, high if high > low else low * 10, *ends, logarithmic=True)
    low, high = min(0.0, *values), max(0.0, *values)
    step = _step(low, high)
    return _Scale(math.floor(low / step) * step, math.ceil(high / step) * step or step, *ends)


def _step(low: float, high: float) -> float:
    """A round distance between ticks."""
    raw = (high - low or 1.0) / _TICKS
    size: float = 10.0 ** math.floor(math.log10(raw))
    return next(size * each for each in (1, 2, 5, 10) if size * each >= raw)


def _ticks(scale: _Scale) -> list[float]:
    if scale.logarithmic:
        first, last = round(math.log10(scale.low)), round(math.log10(scale.high))
        return [10.0**power for power in range(first, last + 1)]
    step = _step(scale.low, scale.high)
    first = math.ceil(scale.low / step)
    return [each * step for each in range(first, math.floor(scale.high / step + 1e-9) + 1)]


def _draw_grid(x: _Scale, y: _Scale, chart: Chart) -> Iterator[str]:
    for value in _ticks(y):
        at = y.at(value)
        yield f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
        yield f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_short(value)}</text>'
    unit = english(chart.x_unit)
    free = _WIDTH - _RIGHT - _CHARACTER * (len(unit) + 3)  # Where the unit stands is no tick.
    for value in _ticks(x):
        if x.at(value) > free:
            continue
        yield (
            f'<text x="{x.at(value):.1f}" y="{_HEIGHT - 8}" text-anchor="middle">'
            f"{_short(value)}</text>"
        )
    yield (f'<text x="{_WIDTH - _RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">{escape(unit)}</text>')


def _short(value: float) -> str:
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{suffix}"
    return f"{value:g}"


def _thinned(series: Series, *, logarithmic: bool) -> list[tuple[float, float | None]]:
    """At most ``_POINTS_MAX`` points, the highest of each group."""
    points = [
        (at, None if value is None or (logarithmic and value <= 0) else value)
        for at, value in zip(series.x, series.y, strict=True)
    ]
    group = -(-len(points) // _POINTS_MAX)
    if group <= 1:
        return points
    return [
        max(
            points[start : start + group],
            key=lambda point: -math.inf if point[1] is None else point[1],
        )
        for start in range(0, len(points), group)
    ]


def _unbroken(line: Sequence[tuple[float, float | None]]) -> Iterator[list[tuple[float, float]]]:
    part: list[tuple[float, float]] = []
    for at, value in line:
        if value is not None:
            part.append((at, value))
        elif part:
            yield part
            part = []
    if part:
        yield part
