"""Promise: docs/metrics.md lists what the code exposes, with a meaning, and nothing else."""

from deploy.monitoring import catalogue


def test_the_page_is_what_the_code_writes() -> None:
    assert catalogue.PAGE.read_text("utf-8") == catalogue.render(), "run `make metrics`"


def test_every_metric_has_one_name_one_meaning_and_a_prefix_of_its_process() -> None:
    names: list[str] = []
    for process in catalogue.list_processes():
        for metric in process.metrics:
            names.append(metric.name)
            own = (f"suifang_{process.name}_", "suifang_feed_")
            assert metric.name.startswith(own), metric
            assert metric.help.endswith("."), metric
            assert metric.kind in {"counter", "gauge", "histogram"}, metric
            assert "resident" not in metric.labels, metric
            assert (metric.kind == "counter") == metric.name.endswith("_total"), metric
    assert len(names) == len(set(names))
    assert len(names) > 40
