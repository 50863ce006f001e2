"""A report with every part in it."""

from datetime import UTC, datetime

from simulators.report.model import Chart, Check, Figure, Report, Series, Table, Words

AT = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)


def a_report(*, partial: str | None = None, passed: bool = True) -> Report:
    """Whole and green unless asked otherwise."""
    times = [float(second) for second in range(1, 2_000)]
    return Report(
        title=Words("Morning peak <b>", "早高峰"),
        started_at=AT,
        ended_at=AT,
        partial=partial,
        summary=[Words("All was well.", "一切正常。")],
        figures=[Figure(name=Words("sent", "已发送"), value=12_345, unit="readings")],
        checks=[Check(name="nothing lost", passed=passed, detail="0 of 12,345")],
        charts=[
            Chart(
                title=Words("Rate", "速率"),
                unit="1/s",
                series=[Series("sent", times, [None, *times[1:]])],
            ),
            Chart(
                title="Latency",
                unit="ms",
                logarithmic=True,
                series=[Series("p99", [1.0, 2.0, 3.0, 4.0], [0.0, 12.0, None, 340.0])],
            ),
            Chart(title="Nothing", unit="", series=[Series("none", [], [])]),
        ],
        tables=[Table(title="Steps", columns=["rate", "p99"], rows=[[100, 1.5], [200, None]])],
        data={"plan": {"seed": 7}},
    )
