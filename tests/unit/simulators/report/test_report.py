"""A report is two files that say the same; a partial one says so; nothing in it is cut."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from simulators.errors import ReportError
from simulators.report.model import Chart, Series
from simulators.report.page import render
from simulators.report.plots import draw
from simulators.report.writing import write_report
from tests.unit.simulators.report.report_builders import a_report


def test_both_files_are_written_and_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    write_report(a_report(partial="stopped"), folder)
    written = write_report(a_report(), folder)
    twin = json.loads(written.twin.read_text("utf-8"))
    assert (twin["partial"], twin["passed"]) == (None, True)
    assert twin["figures"] == [{"name": "sent", "value": 12_345, "unit": "readings"}]
    assert twin["plan"] == {"seed": 7}
    assert sorted(path.name for path in folder.iterdir()) == ["report.html", "report.json"]
    assert written.page.stat().st_mode & 0o077 == 0


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", "utf-8")
    with pytest.raises(ReportError, match="name another --report"):
        write_report(a_report(), tmp_path / "file" / "folder")


def test_a_partial_run_says_so_in_both_and_does_not_pass() -> None:
    report = a_report(partial="Ctrl-C <after> 3 s")
    assert "Ctrl-C &lt;after&gt; 3 s" in render(report)
    assert report.as_dict()["passed"] is False
    assert not a_report(passed=False).passed


def test_words_are_text_and_never_markup() -> None:
    page = render(a_report())
    assert "Morning peak &lt;b&gt;" in page
    assert "<script" not in page
    assert not re.search(r"https?://", page)


def test_a_peak_is_not_smoothed_away() -> None:
    values = [1.0] * 10_000
    values[7_777] = 900.0
    drawn = draw(Chart(title="x", unit="", series=[Series("x", range(10_000), values)]))
    assert min(float(y) for y in re.findall(r",(\d+\.\d)", drawn)) < 40
    assert drawn.count(",") < 1_000


@pytest.mark.parametrize("logarithmic", [True, False])
@pytest.mark.parametrize(
    "values",
    [[], [None], [0.0], [5.0, 5.0], [-3.0, 3.0], [1e-9, 1e9]],
    ids=["empty", "gap", "zero", "level", "negative", "wide"],
)
def test_any_values_can_be_drawn(values: list[float | None], *, logarithmic: bool) -> None:
    series = Series("x", range(len(values)), values)
    drawn = draw(Chart(title="x", unit="", series=[series], logarithmic=logarithmic))
    assert "nan" not in drawn
    assert "inf" not in drawn


def test_a_report_without_anything_can_be_read() -> None:
    empty = replace(a_report(), figures=(), checks=(), charts=(), tables=(), summary=())
    assert render(empty).endswith("</body></html>\n")
