"""A run as a report: what had to be so, and what came of each day. For people and programs."""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from deploy.rehearsal.run import Run
from simulators.report.model import Chart, Check, Figure, Report, Series, Table, Words
from simulators.scenarios.outcome import Outcome

_EMERGENCIES = frozenset(
    {"BP_EMERGENCY", "BP_PREG_HIGH", "GLU_EMERGENCY_HIGH", "GLU_EMERGENCY_LOW"}
)


def to_report(run: Run) -> Report:
    """All of a run, whole or cut short."""
    scenario, found = run.scenario, run.report()
    ended_at = scenario.begins_at if run.world is None else run.world.clock()
    return Report(
        title=f"{scenario.id}: {scenario.title}",
        started_at=scenario.begins_at,
        ended_at=ended_at,
        partial=run.problem,
        summary=[scenario.about.strip()] if scenario.about else [],
        figures=[
            Figure(name=Words("days played", "模拟天数"), value=run.days_played),
            Figure(name=Words("real time", "实际用时"), value=found["seconds"], unit="s"),
            Figure(name=Words("readings", "测量数"), value=found["readings"]),
            Figure(name=Words("judgements of a resident", "居民判断次数"), value=found["judged"]),
            Figure(name=Words("seed", "随机种子"), value=scenario.seed),
        ],
        checks=[
            Check(
                name=verdict.expected,
                passed=verdict.met,
                detail=verdict.seen
                if verdict.met
                else f"{verdict.seen} ({verdict.where}; look at: {verdict.look})",
            )
            for verdict in run.verdicts
        ],
        charts=[] if run.outcome is None else [_alerts_by_day(run, run.outcome)],
        tables=[] if run.outcome is None else list(_tables(run.outcome)),
        data=found,
    )


def _alerts_by_day(run: Run, outcome: Outcome) -> Chart:
    """Alerts by the day on which what they rest on happened."""
    days = range(max(run.days_played, 1))
    begins_at = run.scenario.begins_at

    def count(moments: Iterable[datetime]) -> list[float | None]:
        found = Counter((moment - begins_at).days for moment in moments)
        return [float(found[day]) for day in days]

    standing = [alert for alert in outcome.alerts if alert.status != "cancelled"]
    emergencies = [a.effective_at for a in standing if a.code in _EMERGENCIES]
    others = [a.effective_at for a in standing if a.code not in _EMERGENCIES]
    x = [float(day + 1) for day in days]
    return Chart(
        title=Words("Alerts", "提醒"),
        unit="",
        x_unit="day",
        series=[
            Series(Words("emergencies", "危急"), x, count(emergencies)),
            Series(Words("others", "其他"), x, count(others)),
        ],
        note=Words("By the day of what they rest on.", "按依据发生日统计，不含撤销。"),
    )


def _tables(outcome: Outcome) -> Iterable[Table]:
    alerts = Counter((alert.code, alert.status) for alert in outcome.alerts)
    states = Counter((key[1], state) for key, state in outcome.states.items() if state != "none")
    for title, columns, rows in (
        (Words("Alerts", "提醒"), ("code", "status"), alerts),
        (Words("Cases at the end", "结束时的病例状态"), ("condition", "state"), states),
    ):
        if rows:
            yield Table(
                title=title,
                columns=[*columns, Words("number", "数量")],
                rows=[[*key, number] for key, number in sorted(rows.items())],
            )
    if outcome.figures:
        yield Table(
            title=Words("Figures of the year", "年度指标"),
            columns=["code", "%", Words("counted", "分子"), Words("of", "分母")],
            rows=[
                [code, str(figure.percent), figure.numerator, str(figure.denominator)]
                for code, figure in sorted(outcome.figures.items())
            ],
        )
    if outcome.reasons:
        yield Table(
            title=Words("Quarantined", "隔离"),
            columns=["reason", Words("number", "数量")],
            rows=[list(row) for row in sorted(outcome.reasons.items())],
        )
