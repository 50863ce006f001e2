"""A load as a report: rates, latencies, lag, who used the processors, and the law."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from simulators.load.capacity import Capacity, Step
from simulators.load.counts import Sample
from simulators.load.fleet import LoadRun
from simulators.load.sampling import SIMULATOR
from simulators.report.model import Chart, Check, Figure, Report, Series, Table, Text, Words

_LATE_MS: Final = 50.0  # Beyond it the simulator itself was in the way, and the report says so.
_BUSIEST: Final = 3
_READINGS: Final = Words("readings", "条读数")
_RATE: Final = Words("readings/s", "条/秒")
_PUBACK: Final = Words("due to PUBACK: the broker has it", "到期至 PUBACK：代理已收到")
_RECEIPT: Final = Words("due to receipt: it is stored", "到期至回执：已入库")
_LATENESS: Final = Words("lateness of the simulator", "模拟器自身的延迟")
_COLUMNS: Final = ("p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms")
_NO_RECEIPTS: Final = Words(
    "No receipts were asked for: this shows what the simulator sends and the broker takes."
    " It says nothing of ingest, database or rules, and not that a reading was stored.",
    "本次未请求回执：仅显示模拟器的发送与代理的接收，"
    "不反映摄取、数据库或规则，也不表示读数已入库。",
)


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
        charts=list_charts(run.samples, with_receipts=counts.with_receipts),
        tables=[_latency_table(latencies, with_receipts=counts.with_receipts)],
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


def _latency_table(
    latencies: Mapping[str, Mapping[str, float | None]], *, with_receipts: bool
) -> Table:
    rows = [("publish_to_puback", _PUBACK)]
    if with_receipts:
        rows.append(("publish_to_receipt", _RECEIPT))
    rows.append(("lateness_of_the_simulator", _LATENESS))
    return Table(
        title=Words("Latency, milliseconds", "延迟（毫秒）"),
        columns=["", *(name.removesuffix("_ms") for name in _COLUMNS)],
        rows=[
            [words, *(_rounded(latencies[name][column]) for column in _COLUMNS)]
            for name, words in rows
        ],
        note=Words(
            "Counted from when a reading was due, not from when it was sent:"
            " a system that stalls cannot hide behind a sender that waits.",
            "从读数到期时刻起算，而非发送时刻：系统停顿无法被等待中的发送端掩盖。",
        ),
    )


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 1)


def add_checks(report: Report, checks: Sequence[Check]) -> Report:
    """The same report with more checks."""
    return replace(report, checks=[*report.checks, *checks])


def add_capacity(
    report: Report, capacity: Capacity, steps: Sequence[Step], *, with_receipts: bool
) -> Report:
    """The report of a search; the checks of its last step say nothing of it."""
    figures = [
        Figure(name=Words("carried", "可承受"), value=round(capacity.carried_per_s), unit=_RATE),
        Figure(
            name=Words("not carried", "不可承受"),
            value=None if capacity.broken_per_s is None else round(capacity.broken_per_s),
            unit=_RATE,
        ),
        Figure(name=Words("limit of", "瓶颈"), value=capacity.limit),
    ]
    return replace(
        report,
        summary=[capacity.words] if with_receipts else [capacity.words, _NO_RECEIPTS],
        figures=figures,
        checks=(),
        charts=[_chart_by_rate(steps, with_receipts=with_receipts), *report.charts],
        tables=[_steps_table(steps)],
        data=report.data
        | {"capacity": capacity.as_dict(), "steps": [step.as_dict() for step in steps]},
    )


def _steps_table(steps: Sequence[Step]) -> Table:
    return Table(
        title=Words("Steps", "各步"),
        columns=[
            Words("readings/s asked", "目标速率"),
            Words("reached", "实际"),
            "p50 ms",
            "p99 ms",
            Words("simulator late, p99 ms", "模拟器延迟 p99"),
            Words("carried", "是否承受"),
            Words("cores, the busiest", "处理器占用（最忙）"),
        ],
        rows=[
            [
                round(step.rate_per_s),
                round(step.reached_per_s),
                step.p50_ms,
                step.p99_ms,
                step.lateness_p99_ms,
                step.broke or Words("yes", "是"),
                _busiest(step.cores),
            ]
            for step in steps
        ],
    )


def _busiest(cores: Mapping[str, float]) -> str:
    """The twin has all of them."""
    ordered = sorted(cores.items(), key=lambda item: -item[1])[:_BUSIEST]
    return ", ".join(f"{name} {used:.2f}" for name, used in ordered)


def _chart_by_rate(steps: Sequence[Step], *, with_receipts: bool) -> Chart:
    last = {step.rate_per_s: step for step in steps}  # Of two looks at a rate the second.
    rising = sorted(last.values(), key=lambda step: step.rate_per_s)
    rates = [step.rate_per_s for step in rising]
    done = Words("stored", "入库") if with_receipts else Words("PUBACK", "PUBACK")

    def line(name: Words, attribute: str) -> Series:
        return Series(name, rates, [getattr(step, attribute) for step in rising])

    return Chart(
        title=Words("Latency from when it was due, by rate", "自到期起的延迟与速率"),
        unit="ms",
        x_unit=_RATE,
        logarithmic=True,
        series=[
            line(Words(f"{done.en} p99", f"{done.zh} p99"), "p99_ms"),
            line(Words(f"{done.en} p50", f"{done.zh} p50"), "p50_ms"),
            line(Words("simulator late p99", "模拟器延迟 p99"), "lateness_p99_ms"),
        ],
        note=Words("The charts below are of the last step.", "下列图表为最后一步。"),
    )


def _figures(run: LoadRun) -> list[Figure]:
    counts, latencies = run.counts, run.latencies
    rate = counts.sent / run.sending_s if run.sending_s else 0.0
    memory = max((sample.resident_mb for sample in run.samples), default=None)
    figures = [
        Figure(name=Words("sent", "已发送"), value=counts.sent, unit=_READINGS),
        Figure(name=Words("rate", "速率"), value=round(rate), unit=_RATE),
    ]
    if counts.with_receipts:
        figures += [
            Figure(name=Words("stored", "已入库"), value=counts.stored, unit=_READINGS),
            Figure(
                name=Words("without a receipt", "未收到回执"), value=counts.waiting, unit=_READINGS
            ),
            _percentile(Words("stored, p50", "入库延迟 p50"), latencies.stored.quantile(0.5)),
            _percentile(Words("stored, p99", "入库延迟 p99"), latencies.stored.quantile(0.99)),
        ]
    else:
        figures += [
            Figure(name=Words("acknowledged", "已确认"), value=counts.acknowledged, unit=_READINGS),
            _percentile(
                Words("PUBACK, p50", "PUBACK 延迟 p50"), latencies.acknowledged.quantile(0.5)
            ),
        ]
    each_us = round(sum(_own_seconds(run.samples)) / counts.sent * 1e6, 1) if counts.sent else None
    return [
        *figures,
        _percentile(Words("PUBACK, p99", "PUBACK 延迟 p99"), latencies.acknowledged.quantile(0.99)),
        _percentile(
            Words("simulator late, p99", "模拟器延迟 p99"), latencies.lateness.quantile(0.99)
        ),
        Figure(
            name=Words("simulator, of one core", "模拟器每条读数占用"),
            value=each_us,
            unit=Words("µs/reading", "微秒/条"),
        ),
        Figure(name=Words("memory of the simulator", "模拟器内存"), value=memory, unit="MB"),
    ]


def _own_seconds(samples: Sequence[Sample]) -> Iterator[float]:
    """Processor time of the simulator in each sample."""
    before_s = 0.0
    for sample in samples:
        yield sample.cores.get(SIMULATOR, 0.0) * (sample.at_s - before_s)
        before_s = sample.at_s


def _percentile(name: Words, seconds: float | None) -> Figure:
    return Figure(
        name=name, value=None if seconds is None else round(seconds * 1_000, 1), unit="ms"
    )


def _remarks(run: LoadRun) -> list[Text]:
    """Where the simulator itself was in the way, the report says so first."""
    remarks: list[Text] = [] if run.counts.with_receipts else [_NO_RECEIPTS]
    late_ms = (run.latencies.lateness.quantile(0.99) or 0.0) * 1_000
    if late_ms <= _LATE_MS:
        return remarks
    return [
        *remarks,
        Words(
            f"The simulator itself sent late (p99 {late_ms:,.0f} ms): all latencies hold that, too."
            " They are upper bounds of the system's.",
            f"模拟器自身发送延迟（p99 {late_ms:,.0f} 毫秒）：所有延迟均包含它，"
            "因此是系统延迟的上限。",
        ),
    ]


def _checks(run: LoadRun) -> list[Check]:
    counts = run.counts
    if not counts.with_receipts:
        return [
            Check(
                name=Words("everything sent was acknowledged", "所有已发送读数均已确认"),
                passed=counts.waiting == 0,
                detail=f"{counts.acknowledged:,} / {counts.sent:,}",
            )
        ]
    accounted = counts.stored + counts.duplicate + counts.quarantined
    return [
        Check(
            name=Words("everything sent has a receipt", "所有已发送读数均有回执"),
            passed=counts.waiting == 0,
            detail=f"{counts.receipted:,} / {counts.sent:,}",
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


def list_charts(samples: Sequence[Sample], *, with_receipts: bool = True) -> list[Chart]:
    """Rates, latencies, lag and processors, second by second."""
    at = [sample.at_s for sample in samples]

    def line(name: Text, attribute: str) -> Series:
        return Series(name, at, [getattr(sample, attribute) for sample in samples])

    rates = [
        line(Words("sent", "已发送"), "sent_per_s"),
        line(Words("PUBACK", "PUBACK"), "acknowledged_per_s"),
    ]
    latencies = [
        line(Words("PUBACK p99", "PUBACK p99"), "acknowledged_p99_ms"),
        line(Words("PUBACK p50", "PUBACK p50"), "acknowledged_p50_ms"),
        line(Words("simulator late p99", "模拟器延迟 p99"), "lateness_p99_ms"),
    ]
    lag = Words("Lag: age of the oldest without a PUBACK", "滞后：最早未确认读数的时长")
    if with_receipts:
        rates.append(line(Words("receipt", "回执"), "receipted_per_s"))
        latencies.insert(0, line(Words("stored p50", "入库 p50"), "stored_p50_ms"))
        latencies.insert(0, line(Words("stored p99", "入库 p99"), "stored_p99_ms"))
        lag = Words("Lag: age of the oldest without a receipt", "滞后：最早未回执读数的时长")
    names = dict.fromkeys(name for sample in samples for name in sample.cores)
    cores = [Series(name, at, [sample.cores.get(name) for sample in samples]) for name in names]
    return [
        Chart(title=Words("Rate", "速率"), unit=_RATE, series=rates),
        Chart(
            title=Words("Latency from when it was due", "自到期起的延迟"),
            unit="ms",
            logarithmic=True,
            series=latencies,
        ),
        Chart(title=lag, unit="s", series=[line(Words("lag", "滞后"), "lag_s")]),
        Chart(
            title=Words("Processors used", "处理器占用"),
            unit=Words("cores", "核"),
            series=cores,
        ),
    ]
