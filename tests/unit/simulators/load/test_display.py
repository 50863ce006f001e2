"""What a person sees of a load fits a small terminal, and never tells of what is not looked at."""

from io import StringIO

from rich.console import Console

from simulators.load.counts import Counts, Sample
from simulators.load.display import LoadDisplay, render_sample
from simulators.load.fleet import LoadRun

PROCESSES = (
    *("ingest", "judge", "dispatcher", "broker", "postgres_serving", "postgres_rest"),
    *("simulator", "machine"),
)


def a_run(*, with_receipts: bool) -> LoadRun:
    counts = Counts(sent=1_234_567, acknowledged=1_234_000, stored=1_233_000, receipted=1_233_100)
    counts.duplicate, counts.broken, counts.again = 100, 3, 12
    counts.with_receipts = with_receipts
    sample = Sample(
        at_s=6.0,
        sent_per_s=20_012.3,
        acknowledged_per_s=19_999,
        receipted_per_s=19_888,
        waiting=counts.waiting,
        lag_s=0.12,
        acknowledged_p50_ms=1.0,
        acknowledged_p99_ms=2.0,
        stored_p50_ms=10.0 if with_receipts else None,
        stored_p99_ms=1_234.567 if with_receipts else None,
        lateness_p99_ms=0.4,
        cores=dict.fromkeys(PROCESSES, 0.25),
        resident_mb=160.4,
    )
    return LoadRun(counts=counts, samples=[sample])


def _shown(run: LoadRun) -> list[str]:
    console = Console(width=80, height=24, record=True, file=StringIO())
    console.print(render_sample("5,000 gateways, 20,000 readings/s", run, run.samples[-1]))
    return console.export_text().splitlines()


def test_all_of_it_fits_a_terminal_of_24_lines() -> None:
    shown = _shown(a_run(with_receipts=True))
    assert len(shown) < 24
    text = " ".join(" ".join(shown).split())
    law = "sent 1,234,567 = stored 1,233,000 + duplicate 100 + quarantined 0 + waiting 1,467"
    assert law in text
    assert "stored 19,888 10.0 ms 1,234.6 ms" in text
    assert all(name in text for name in PROCESSES)


def test_without_receipts_nothing_is_said_to_be_stored() -> None:
    text = " ".join(" ".join(_shown(a_run(with_receipts=False))).split())
    assert "stored" not in text
    assert "sent 1,234,567 = acknowledged 1,234,000 + waiting 567" in text


def test_where_no_terminal_is_a_line_tells_of_what_answers() -> None:
    for with_receipts, words in ((True, "19,888/s receipted, p99 1,234.6 ms"), (False, "PUBACK")):
        console = Console(width=200, record=True, file=StringIO())
        LoadDisplay(console, None).show(a_run(with_receipts=with_receipts))
        assert words in console.export_text()
