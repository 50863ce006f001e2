"""A load as a report: rates, latencies, lag, who used the processors, and the law."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from simulators.load.capacity import Capacity, Step
from simulators.load.counts import Sample
from simulators.load.fleet import LoadRun
from simulators.report.model import Chart, Check, Figure, Report, Series, Table, Text, Words

_LATE_MS: Final = 50.0  # Beyond it the simulator itself was in the way, and the report says so.
_ROWS: Final = (
    ("publish_to_puback", Words("due to PUBACK: the broker has it", "到期至 PUBACK：代理已收到")),
    ("publish_to_receipt", Words("due to receipt: it is stored", "到期至回执：已入库")),
    ("lateness_of_the_simulator", Words("lateness of the simulator", "模拟器自身的延迟")),
)
_COLUMNS: Final = ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms")


def describe_load(
    title: Text,
    run: LoadRun,
    *,
    started_at: datetime,
    ended_at: datetime,
    data: dict[str, Any],
) -> Report:
    """The report of one run; ``data`` is added to the JSON twin."""
    counts, latencies = run.counts, run.latencies.as_dict()
    return Report(
        title=title,
        started_at=started_at,
        ended_at=ended_at,
        partial=run.partial,
        summary=_remarks(run),
        figures=_figures(run),
        checks=_checks(run),
        charts=list_charts(run.samples),
        tables=[
            Table(
                title=Words("Latency, milliseconds", "延迟（毫秒）"),
                columns=["", *(name.removesuffix("_ms") for name in _COLUMNS)],
                rows=[
                    [words.en, *(latencies[name][column] for column in _COLUMNS)]
                    for name, words in _ROWS
                ],
                note=Words(
                    "Counted from when a reading was due, not from when it was sent:"
                    " a system that stalls cannot hide behind a sender that waits.",
                    "从读数到期时刻起算，而非发送时刻：系统停顿无法被等待中的发送端掩盖。",
                ),
            )
        ],
        data={
            "counts": counts.as_dict(),
            "latency": latencies,
            "spectrum": {
                "publish_to_puback": run.latencies.acknowledged.spectrum(),
                "publish_to_receipt": run.latencies.stored.spectrum(),
            },
            "sending_s": round(run.sending_s, 3),
            "elapsed_s": round(run.elapsed_s, 3),
            "samples": [sample.as_dict() for sample in run.samples],
            **data,
        },
    )


def add_checks(report: Report, checks: Sequence[Check]) -> Report:
    """The same report with more checks."""
    return replace(report, checks=[*report.checks, *checks])


def add_capacity(report: Report, capacity: Capacity, steps: Sequence[Step]) -> Report:
    """The report of a search; the checks of its last step say nothing of it."""
    table = Table(
        title=Words("Steps", "各步"),
        columns=[
            Words("readings/s asked", "目标速率"),
            Words("reached", "实际"),
            "p50 ms",
            "p99 ms",
            Words("simulator late, p99 ms", "模拟器延迟 p99"),
            Words("carried", "是否承受"),
            Words("cores", "处理器占用"),
        ],
        rows=[
            [
                step.rate_per_s,
                step.reached_per_s,
                step.p50_ms,
                step.p99_ms,
                step.lateness_p99_ms,
                step.broke or "yes",
                ", ".join(f"{name} {cores:.2f}" for name, cores in step.cores.items()),
            ]
            for step in steps
        ],
    )
    figures = [
        Figure(name=Words("carried", "可承受"), value=capacity.carried_per_s, unit="readings/s"),
        Figure(
            name=Words("not carried", "不可承受"), value=capacity.broken_per_s, unit="readings/s"
        ),
        Figure(name=Words("limit of", "瓶颈"), value=capacity.limit),
    ]
    rising = sorted(steps, key=lambda step: step.rate_per_s)
    rates = [step.rate_per_s for step in rising]
    by_rate = Chart(
        title=Words("Latency from when it was due, by rate", "自到期起的延迟与速率"),
        unit="ms",
        x_unit="readings/s",
        logarithmic=True,
        series=[
            Series(Words("stored p99", "入库 p99"), rates, [step.p99_ms for step in rising]),
            Series(Words("stored p50", "入库 p50"), rates, [step.p50_ms for step in rising]),
            Series(
                Words("simulator late p99", "模拟器延迟 p99"),
                rates,
                [step.lateness_p99_ms for step in rising],
            ),
        ],
        note=Words("The charts below are of the last step.", "下列图表为最后一步。"),
    )
    return replace(
        report,
        summary=[capacity.words],
        figures=figures,
        checks=(),
        charts=[by_rate, *report.charts],
        tables=[table],
        data=report.data
        | {"capacity": capacity.as_dict(), "steps": [step.as_dict() for step in steps]},
    )


def _figures(run: LoadRun) -> list[Figure]:
    counts, latencies = run.counts, run.latencies
    rate = counts.sent / run.sending_s if run.sending_s else 0.0
    memory = max((sample.resident_mb for sample in run.samples), default=None)
    return [
        Figure(name=Words("sent", "已发送"), value=counts.sent, unit="readings"),
        Figure(name=Words("rate", "速率"), value=round(rate), unit="readings/s"),
        Figure(name=Words("stored", "已入库"), value=counts.stored, unit="readings"),
        Figure(
            name=Words("without a receipt", "未收到回执"), value=counts.waiting, unit="readings"
        ),
        _percentile(Words("stored, p50", "入库延迟 p50"), latencies.stored.quantile(0.5)),
        _percentile(Words("stored, p99", "入库延迟 p99"), latencies.stored.quantile(0.99)),
        _percentile(Words("PUBACK, p99", "PUBACK 延迟 p99"), latencies.acknowledged.quantile(0.99)),
        Figure(name=Words("memory of the simulator", "模拟器内存"), value=memory, unit="MB"),
    ]


def _percentile(name: Words, seconds: float | None) -> Figure:
    return Figure(
        name=name, value=None if seconds is None else round(seconds * 1_000, 1), unit="ms"
    )


def _remarks(run: LoadRun) -> list[Text]:
    """Where the simulator itself was in the way, the report says so first."""
    late_ms = (run.latencies.lateness.quantile(0.99) or 0.0) * 1_000
    if late_ms <= _LATE_MS:
        return []
    return [
        Words(
            f"The simulator itself sent late (p99 {late_ms:,.0f} ms): all latencies hold that, too."
            " They are upper bounds of the system's.",
            f"模拟器自身发送延迟（p99 {late_ms:,.0f} 毫秒）：所有延迟均包含它，"
            "因此是系统延迟的上限。",
        )
    ]


def _checks(run: LoadRun) -> list[Check]:
    counts = run.counts
    accounted = counts.stored + counts.duplicate + counts.quarantined
    return [
        Check(
            name=Words("everything sent has a receipt", "所有已发送读数均有回执"),
            passed=counts.waiting == 0,
            detail=f"{counts.receipted:,} of {counts.sent:,}",
        ),
        Check(
            name=Words(
                "receipts account for every reading: stored + duplicate + quarantined",
                "回执与读数相符：入库 + 重复 + 隔离",
            ),
            passed=accounted == counts.receipted,
            detail=f"{counts.stored:,} + {counts.duplicate:,} + {counts.quarantined:,}"
            f" = {counts.receipted:,}",
        ),
    ]


def list_charts(samples: Sequence[Sample]) -> list[Chart]:
    """Rates, latencies, lag and processors, second by second."""
    at = [sample.at_s for sample in samples]

    def line(name: Text, attribute: str) -> Series:
        return Series(name, at, [getattr(sample, attribute) for sample in samples])

    names = dict.fromkeys(name for sample in samples for name in sample.cores)
    return [
        Chart(
            title=Words("Rate", "速率"),
            unit="readings/s",
            series=[
                line(Words("sent", "已发送"), "sent_per_s"),
                line(Words("PUBACK", "PUBACK"), "acknowledged_per_s"),
                line(Words("receipt", "回执"), "receipted_per_s"),
            ],
        ),
        Chart(
            title=Words("Latency from when it was due", "自到期起的延迟"),
            unit="ms",
            logarithmic=True,
            series=[
                line(Words("stored p99", "入库 p99"), "stored_p99_ms"),
                line(Words("stored p50", "入库 p50"), "stored_p50_ms"),
                line(Words("PUBACK p99", "PUBACK p99"), "acknowledged_p99_ms"),
                line(Words("PUBACK p50", "PUBACK p50"), "acknowledged_p50_ms"),
                line(Words("simulator late p99", "模拟器延迟 p99"), "lateness_p99_ms"),
            ],
        ),
        Chart(
            title=Words("Lag: age of the oldest without a receipt", "滞后：最早未回执读数的时长"),
            unit="s",
            series=[line(Words("lag", "滞后"), "lag_s")],
        ),
        Chart(
            title=Words("Processors used", "处理器占用"),
            unit="cores",
            series=[
                Series(name, at, [sample.cores.get(name) for sample in samples]) for name in names
            ],
        ),
    ]
