"""What the dashboards show: titles, units and queries. ``dashboards`` makes Grafana's JSON of it.

Of what every API tells alike the largest is shown.
"""

from typing import Final, NamedTuple


class Panel(NamedTuple):
    """One picture: queries with their legends."""

    title: str
    unit: str  # As Grafana names units.
    queries: tuple[tuple[str, str], ...]  # (PromQL, legend)
    kind: str = "timeseries"
    help: str = ""


class Dashboard(NamedTuple):
    """One file."""

    uid: str
    title: str
    panels: tuple[Panel, ...]


def _quantiles(histogram: str, by: str = "") -> tuple[tuple[str, str], ...]:
    grouped = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    buckets = f"sum by ({grouped}) (rate({histogram}_bucket[$__rate_interval]))"
    return tuple((f"histogram_quantile({q}, {buckets})", f"p{q * 100:g}{legend}") for q in _ASKED)


def _rate(counter: str, by: str) -> tuple[tuple[str, str], ...]:
    return ((f"sum by ({by}) (rate({counter}[$__rate_interval]))", f"{{{{{by}}}}}"),)


_ASKED: Final = (0.5, 0.99)
_SLOWEST: Final = """histogram_quantile(0.99, sum by (le, route) (rate(
suifang_api_request_seconds_bucket[$__rate_interval])))""".replace("\n", "")
_MESSAGES: Final = """sum by (channel, status) (rate(
suifang_notify_attempts_total[$__rate_interval]))""".replace("\n", "")
_READINGS: Final = "suifang_ingest_readings_total"
_ALERTS: Final = 'sum by (alertname) (ALERTS{alertname=~"Suifang.+", alertstate="firing"})'

DASHBOARDS: Final = (
    Dashboard(
        "suifang-overview",
        "Suifang: overview",
        (
            Panel("Processes up", "short", (("sum by (job) (up{job=~'suifang-.+'})", "{{job}}"),)),
            Panel("Alerts that fire", "short", ((_ALERTS, "{{alertname}}"),)),
            Panel("Readings by what became of them", "ops", _rate(_READINGS, "disposition")),
            Panel("From arrival to stored", "s", _quantiles("suifang_ingest_reading_age_seconds")),
            Panel(
                "Longest due for judgement",
                "s",
                (("max(suifang_judge_overdue_seconds)", "overdue"),),
            ),
            Panel(
                "What waits to be told",
                "s",
                (
                    ("max(suifang_api_feed_lag_seconds)", "event for its number"),
                    ("max(suifang_api_notify_lag_seconds)", "alert for the notifier"),
                ),
            ),
            Panel(
                "Alerts that nobody could be told of",
                "short",
                (("max(suifang_api_untold_alerts)", "untold"),),
                "stat",
            ),
            Panel(
                "Gateways",
                "short",
                (("max by (state) (suifang_api_gateways)", "{{state}}"),),
            ),
            Panel(
                "What gateways complain of",
                "short",
                (("max by (problem) (suifang_api_gateway_problems) > 0", "{{problem}}"),),
                help="Empty is good.",
            ),
            Panel(
                "Readings that wait on gateways",
                "short",
                (("max(suifang_api_spool_readings)", "readings"),),
            ),
            Panel(
                "Oldest reading on a gateway",
                "s",
                (("max(suifang_api_spool_oldest_seconds)", "age"),),
            ),
            Panel(
                "Versions",
                "short",
                (("count by (job, version) (suifang_build_info)", "{{job}} {{version}}"),),
            ),
        ),
    ),
    Dashboard(
        "suifang-readings",
        "Suifang: from reading to judgement",
        (
            Panel(
                "Messages",
                "ops",
                (
                    (
                        "sum(rate(suifang_ingest_messages_received_total[$__rate_interval]))",
                        "received",
                    ),
                    (
                        "sum(rate(suifang_ingest_messages_acknowledged_total[$__rate_interval]))",
                        "acknowledged",
                    ),
                ),
            ),
            Panel(
                "Receive window used",
                "percentunit",
                (("suifang_ingest_window_used_ratio", "{{session}}"),),
                help="At 1 the broker holds the rest.",
            ),
            Panel(
                "Messages that wait",
                "short",
                (("suifang_ingest_messages_waiting", "{{session}}"),),
            ),
            Panel("One transaction", "s", _quantiles("suifang_ingest_store_seconds")),
            Panel(
                "Readings in a transaction", "short", _quantiles("suifang_ingest_batch_readings")
            ),
            Panel(
                "Transactions by lane", "ops", _rate("suifang_ingest_transactions_total", "lane")
            ),
            Panel(
                "Receipts",
                "ops",
                (
                    ("sum(rate(suifang_ingest_receipts_total[$__rate_interval]))", "sent"),
                    (
                        "sum(rate(suifang_ingest_receipts_throttled_total[$__rate_interval]))",
                        "held back",
                    ),
                ),
            ),
            Panel(
                "Subscribed at the broker",
                "short",
                (("suifang_ingest_broker_connected", "{{session}}"),),
            ),
            Panel(
                "Connections lost",
                "short",
                (
                    ("sum(increase(suifang_ingest_broker_losses_total[5m]))", "ingest: broker"),
                    ("increase(suifang_ingest_database_failures_total[5m])", "ingest: database"),
                    ("increase(suifang_judge_database_failures_total[5m])", "judge: database"),
                    (
                        "increase(suifang_dispatcher_database_losses_total[5m])",
                        "dispatcher: database",
                    ),
                ),
            ),
            Panel("Statuses of gateways", "ops", _rate("suifang_ingest_statuses_total", "outcome")),
            Panel(
                "Residents judged",
                "ops",
                (("sum(rate(suifang_judge_residents_total[$__rate_interval]))", "judged"),),
            ),
            Panel("One judgement", "s", _quantiles("suifang_judge_seconds")),
            Panel(
                "Due work",
                "short",
                (
                    ("max(suifang_judge_due_marks)", "marks"),
                    ("max(suifang_judge_due_batches)", "transactions of ingest"),
                ),
            ),
        ),
    ),
    Dashboard(
        "suifang-api",
        "Suifang: API and telling",
        (
            Panel(
                "Requests by status",
                "reqps",
                _rate("suifang_api_request_seconds_count", "status"),
            ),
            Panel("Time to the first byte", "s", _quantiles("suifang_api_request_seconds")),
            Panel(
                "Slowest routes, p99",
                "s",
                (
                    (
                        f"topk(10, {_SLOWEST})",
                        "{{route}}",
                    ),
                ),
            ),
            Panel(
                "Requests under way",
                "short",
                (("suifang_api_requests_under_way", "{{instance}}"),),
            ),
            Panel(
                "Connections of the pool",
                "short",
                (
                    ("sum by (state) (suifang_api_pool_connections)", "{{state}}"),
                    ("sum(suifang_api_pool_waiting)", "requests that wait"),
                ),
            ),
            Panel(
                "Waiting for a connection",
                "short",
                (
                    ("sum(rate(suifang_api_pool_wait_seconds_total[5m]))", "seconds a second"),
                    ("sum(rate(suifang_api_pool_queued_total[5m]))", "waited"),
                    ("sum(rate(suifang_api_pool_refused_total[5m]))", "refused"),
                ),
            ),
            Panel(
                "Listeners of the live feed",
                "short",
                (
                    ("suifang_api_stream_listeners", "{{instance}}"),
                    ("suifang_api_stream_listeners_max", "places of {{instance}}"),
                ),
            ),
            Panel(
                "Database and feed, as the API has them",
                "short",
                (
                    ("suifang_api_database_up", "database {{instance}}"),
                    ("suifang_api_feed_connected", "feed {{instance}}"),
                ),
            ),
            Panel(
                "Elected",
                "short",
                (
                    ("sum(suifang_dispatcher_elected)", "dispatcher"),
                    ("sum(suifang_deliver_elected)", "deliver"),
                    ("sum(suifang_notify_elected)", "notify"),
                ),
                help="One of each; 0: nobody works.",
            ),
            Panel(
                "Events",
                "ops",
                (
                    ("sum(rate(suifang_dispatcher_events_total[$__rate_interval]))", "numbered"),
                    ("sum(suifang_dispatcher_waiting_events)", "wait"),
                ),
            ),
            Panel("Events that are kept", "short", (("max(suifang_feed_events)", "events"),)),
            Panel("Webhooks: attempts", "ops", _rate("suifang_deliver_attempts_total", "outcome")),
            Panel(
                "Webhooks by state",
                "short",
                (("max by (state) (suifang_deliver_subscriptions)", "{{state}}"),),
            ),
            Panel(
                "Webhooks: events behind",
                "short",
                (("max by (state) (suifang_deliver_behind_events)", "{{state}}"),),
            ),
            Panel(
                "Messages to people",
                "ops",
                ((_MESSAGES, "{{channel}} {{status}}"),),
            ),
            Panel(
                "Notifier",
                "short",
                (
                    ("max(suifang_notify_nobody_reachable)", "nobody reachable"),
                    ("max(suifang_notify_lag_seconds)", "lag, s"),
                ),
            ),
        ),
    ),
    Dashboard(
        "suifang-backups",
        "Suifang: backups",
        (
            Panel(
                "Age of the newest base backup",
                "s",
                (("time() - max(suifang_backup_base_end_timestamp_seconds)", "age"),),
                help="From 8 days on an alert.",
            ),
            Panel(
                "The log is on the shelf",
                "short",
                (("min(suifang_backup_log_reached)", "reached"),),
                help="1: all that the server has written. 0: what burns now is lost.",
            ),
            Panel(
                "Log that the server keeps for the shelf",
                "bytes",
                (
                    ("max(suifang_backup_log_behind_bytes)", "kept"),
                    ("max(suifang_backup_log_kept_bytes_max)", "at most"),
                ),
            ),
            Panel(
                "On the shelf",
                "bytes",
                (("max by (what) (suifang_backup_shelf_bytes)", "{{what}}"),),
            ),
            Panel(
                "Base backups, and gaps behind the newest",
                "short",
                (
                    ("max(suifang_backup_bases)", "base backups"),
                    ("max(suifang_backup_log_gaps)", "gaps"),
                ),
            ),
        ),
    ),
    Dashboard(
        "suifang-processes",
        "Suifang: processes",
        (
            Panel(
                "Memory",
                "bytes",
                (("process_resident_memory_bytes{job=~'suifang-.+'}", "{{job}} {{instance}}"),),
            ),
            Panel(
                "Processor",
                "percentunit",
                (
                    (
                        "rate(process_cpu_seconds_total{job=~'suifang-.+'}[$__rate_interval])",
                        "{{job}} {{instance}}",
                    ),
                ),
            ),
            Panel(
                "Open files over the limit",
                "percentunit",
                (
                    (
                        "process_open_fds{job=~'suifang-.+'} / process_max_fds",
                        "{{job}} {{instance}}",
                    ),
                ),
            ),
            Panel(
                "Running for",
                "s",
                (
                    (
                        "time() - process_start_time_seconds{job=~'suifang-.+'}",
                        "{{job}} {{instance}}",
                    ),
                ),
            ),
        ),
    ),
)
