"""The report as one HTML file: no script, nothing from outside, light and dark, two languages.

The language is a radio button and a rule of the style sheet, so the page needs no script and its
content security policy allows none.
"""

from collections.abc import Iterator
from datetime import UTC
from html import escape
from typing import Final

from simulators.report.model import Cell, Chart, Report, Table, Text, Words, chinese, english
from simulators.report.plots import draw

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_STYLE: Final = """
:root { color-scheme: light dark; --paper: #fbfaf8; --ink: #23272b; --quiet: #646b72;
  --rule: #dedad3; --card: #ffffff; --good: #1c6b48; --bad: #a8341f; --warn: #7a5200;
  --line-1: #1f6f9f; --line-2: #c4571a; --line-3: #2a8160; --line-4: #8d4f97; --line-5: #a07400;
  --line-6: #5b6770; --line-7: #b3446c; --line-8: #3f8f8f; }
@media (prefers-color-scheme: dark) { :root { --paper: #16191c; --ink: #e2e5e8; --quiet: #9aa3ab;
  --rule: #30363b; --card: #1d2125; --good: #6fc79c; --bad: #f08b76; --warn: #e0b45c;
  --line-1: #6db5e2; --line-2: #f0945c; --line-3: #66c2a0; --line-4: #c996d3; --line-5: #dcb44a;
  --line-6: #a3afb8; --line-7: #ea8fb0; --line-8: #7fd0d0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 60rem; background: var(--paper);
  color: var(--ink); font: 16px/1.55 system-ui, "Noto Sans CJK SC", sans-serif; }
h1 { font-size: 1.5rem; font-weight: 600; margin: 0 0 .25rem; }
h2 { font-size: 1.05rem; font-weight: 600; margin: 2.25rem 0 .5rem; }
.quiet, caption, th { color: var(--quiet); }
.partial { border-left: 4px solid var(--warn); padding: .5rem .9rem; margin: 1rem 0;
  background: var(--card); color: var(--warn); }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(11rem, 1fr)); gap: .75rem;
  margin: 1.25rem 0; padding: 0; }
.figures div { background: var(--card); border: 1px solid var(--rule); border-radius: 6px;
  padding: .6rem .8rem; }
.figures dt { color: var(--quiet); font-size: .85rem; }
.figures dd { margin: 0; font-size: 1.3rem; font-variant-numeric: tabular-nums; }
.figures small { color: var(--quiet); font-size: .8rem; }
.figures p { margin: .15rem 0 0; font-size: .8rem; color: var(--quiet); }
.checks { list-style: none; padding: 0; } .checks li { padding: .2rem 0; }
.good { color: var(--good); font-weight: 600; } .bad { color: var(--bad); font-weight: 600; }
figure { margin: 0 0 1.5rem; } figcaption { font-weight: 600; font-size: .95rem; }
svg { width: 100%; height: auto; display: block; }
svg line { stroke: var(--rule); } svg text { fill: var(--quiet); font-size: 11px; }
svg polyline { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; margin: .2rem 0 0; padding: 0;
  list-style: none; font-size: .85rem; color: var(--quiet); }
.legend i { display: inline-block; width: 1.1em; height: .2em; vertical-align: middle;
  margin-right: .4em; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; padding-bottom: .3rem; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--rule);
  font-variant-numeric: tabular-nums; font-weight: normal; }
th:first-child, td:first-child { text-align: left; }
.language { float: right; font-size: .85rem; color: var(--quiet); }
body:has(#zh:checked) [lang=en], body:not(:has(#zh:checked)) [lang=zh] { display: none; }
@media print { .language { display: none; } }
"""
_LINES: Final = 8
_PARTIAL: Final = Words("This run is partial", "本次运行不完整")


def render(report: Report) -> str:
    """The whole page."""
    title = escape(english(report.title))
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="data:,"><style>{_STYLE}</style></head>\n<body>'
        + "\n".join(_sections(report))
        + "</body></html>\n"
    )


def _sections(report: Report) -> Iterator[str]:
    yield (
        '<div class="language"><label><input type="radio" name="language" checked> English</label>'
        ' <label><input type="radio" name="language" id="zh"> 中文</label></div>'
    )
    yield f"<h1>{_text(report.title)}</h1>"
    began, ended = (at.astimezone(UTC) for at in (report.started_at, report.ended_at))
    until = f"{ended:%H:%M:%S}" if ended.date() == began.date() else f"{ended:%Y-%m-%d %H:%M:%S}"
    yield f'<p class="quiet">{began:%Y-%m-%d %H:%M:%S} – {until} UTC</p>'
    if report.partial is not None:
        yield f'<p class="partial">{_text(_PARTIAL)}: {escape(report.partial)}</p>'
    for sentence in report.summary:
        yield f"<p>{_text(sentence)}</p>"
    if report.figures:
        yield '<dl class="figures">'
        for figure in report.figures:
            note = f"<p>{_text(figure.note)}</p>" if figure.note else ""
            yield (
                f"<div><dt>{_text(figure.name)}</dt><dd>{_cell(figure.value)}"
                f" <small>{_text(figure.unit)}</small>{note}</dd></div>"
            )
        yield "</dl>"
    yield from _checks(report)
    if report.charts:
        yield f"<h2>{_text(Words('Charts', '图表'))}</h2>"
        yield from map(_figure, report.charts)
    for table in report.tables:
        yield _table(table)


def _checks(report: Report) -> Iterator[str]:
    if not report.checks:
        return
    yield f"<h2>{_text(Words('What had to be so', '检查项'))}</h2><ul class='checks'>"
    for check in report.checks:
        mark = '<span class="good">✓</span>' if check.passed else '<span class="bad">✗</span>'
        detail = f'<span class="quiet"> – {_text(check.detail)}</span>' if check.detail else ""
        yield f"<li>{mark} {_text(check.name)}{detail}</li>"
    yield "</ul>"


def _figure(chart: Chart) -> str:
    legend = "".join(
        f'<li><i style="background: var(--line-{number % _LINES + 1})"></i>{_text(line.name)}</li>'
        for number, line in enumerate(chart.series)
    )
    note = f'<p class="quiet">{_text(chart.note)}</p>' if chart.note else ""
    unit = f' <span class="quiet">{_text(chart.unit)}</span>' if chart.unit else ""
    return (
        f"<figure><figcaption>{_text(chart.title)}{unit}</figcaption>{draw(chart)}"
        f'<ul class="legend">{legend}</ul>{note}</figure>'
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{_text(column)}</th>' for column in table.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    note = f'<p class="quiet">{_text(table.note)}</p>' if table.note else ""
    return (
        f'<h2>{_text(table.title)}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{note}"
    )


def _text(text: Text) -> str:
    """Both languages, of which the style sheet shows one."""
    if not isinstance(text, Words):
        return escape(text)
    return (
        f'<span lang="en">{escape(english(text))}</span>'
        f'<span lang="zh">{escape(chinese(text))}</span>'
    )


def _cell(value: Cell) -> str:
    if value is None:
        return "–"
    if isinstance(value, Words):
        return _text(value)
    if isinstance(value, bool | str):
        return escape(str(value))
    return f"{value:,}"
