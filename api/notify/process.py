"""``suifang notify``: elected, plans and sends, for ever.

    alert_attention ─▶ planning ─▶ message ─▶ courier ─▶ mail server, webhook, adapter
                                     ▲
              staff_contact ─▶ digests of shifts

Start two: one is elected by an advisory lock and works on the connection that holds it, so whoever
lost the lock cannot write any more. Everything that was decided is in the database before it is
done, so kill -9 at any instant loses nothing; see ``delivery`` for what may be sent twice.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from api.election import await_election, await_news
from api.notify.delivery import Courier
from api.notify.digests import plan_digests
from api.notify.email import EmailNotifier
from api.notify.notifiers import Notifier, load_adapter
from api.notify.planning import plan_round
from api.notify.settings import NotifySettings
from api.notify.webhook import WebhookNotifier
from api.reconnecting import run_sessions
from gateway.wire.times import Clock
from ingest.db.connections import Connection, ProcessRole, connect
from ingest.db.errors import DatabaseUnavailableError, translated

ELECTION_LOCK: Final = int.from_bytes(b"notify", "big")
_DIGESTS_EVERY: Final = timedelta(seconds=30)
_LAG: Final = "SELECT waiting_since, nobody FROM notify_lag(%s)"


class NotifyMetrics:
    """What the notifier tells Prometheus; never about a person."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.attempts = Counter(
            "suifang_notify_attempts",
            "Attempts to send a message, by what became of the message.",
            ["channel", "status"],
            registry=self.registry,
        )
        self.elected = Gauge(
            "suifang_notify_elected",
            "1 in the one process that tells people, 0 in those that stand by.",
            registry=self.registry,
        )
        self.nobody = Gauge(
            "suifang_notify_nobody_reachable",
            "Alerts that ask for somebody, of a step of whose ladder nobody could be told.",
            registry=self.registry,
        )
        self.lag_s = Gauge(
            "suifang_notify_lag_seconds",
            "For how long the oldest alert has waited to be looked at.",
            registry=self.registry,
        )


def make_channels(settings: NotifySettings) -> list[Notifier]:
    """Every channel that is configured.

    Raises:
        ValueError: A secret or an adapter cannot be used.
        OSError: A file cannot be read.
    """
    channels: list[Notifier] = []
    if settings.email is not None:
        channels.append(EmailNotifier(settings.email, send_s_max=settings.send_s_max))
    if settings.webhook is not None:
        channels.append(WebhookNotifier(settings.webhook, send_s_max=settings.send_s_max))
    return channels + [load_adapter(name) for name in settings.adapters]


class NotifyProcess:
    """One notifier; ``run`` returns never."""

    def __init__(
        self, settings: NotifySettings, channels: Sequence[Notifier], clock: Clock
    ) -> None:
        self._settings = settings
        self._channels = channels
        self._clock = clock
        self._courier = Courier(channels, settings, clock)
        self._digests_at: datetime | None = None
        self._problem = "the database has not been reached yet"
        self.metrics = NotifyMetrics()

    def find_problems(self) -> list[str]:
        """Why nobody is told anything at the moment; for ``/readyz``."""
        return [self._problem] if self._problem else []

    async def run(self) -> None:
        """Stand by, be elected, plan and send. Reconnects when the database is lost."""
        wait_s_max = self._settings.retry_ms_max / 1_000
        await run_sessions(self._run_session, name="notify", wait_s_max=wait_s_max)

    async def _run_session(self) -> None:
        try:
            await self._serve()
        except (DatabaseUnavailableError, TimeoutError) as error:
            self._problem = f"database: {error}"
            raise
        finally:
            self.metrics.elected.set(0)

    async def _serve(self) -> None:
        dsn = self._settings.db_dsn.get_secret_value()
        with translated():
            async with await connect(
                dsn,
                application_name="suifang-notify",
                autocommit=True,
                role=ProcessRole.NOTIFY,
            ) as connection:
                self._problem = ""
                await await_election(connection, ELECTION_LOCK, self._settings)
                self.metrics.elected.set(1)
                await connection.execute("LISTEN outbox")
                while True:
                    if not await self.work(connection):
                        await await_news(connection, self._settings.poll_ms)

    async def work(self, connection: Connection) -> bool:
        """One round of everything; whether there may be more to do at once.

        Bounded by the settings' numbers of alerts and messages and by ``send_s_max`` for each.
        """
        now = self._clock()
        planned = await plan_round(connection, self._channels, self._settings, now=now)
        if self._digests_at is None or now >= self._digests_at:
            await plan_digests(connection, self._channels, self._settings, now=now)
            self._digests_at = now + _DIGESTS_EVERY
        outcomes = await self._courier.deliver_round(connection)
        for outcome in outcomes:
            self.metrics.attempts.labels(outcome.channel, outcome.status).inc()
        await self._measure(connection)
        full = len(outcomes) >= self._settings.messages_max
        refused = any(outcome.status == "failed" for outcome in outcomes)  # Somebody else, then.
        return planned >= self._settings.alerts_max or full or refused

    async def _measure(self, connection: Connection) -> None:
        now = self._clock()
        row = await (await connection.execute(_LAG, (now,))).fetchone()
        if row is not None:
            waiting_since, nobody = row
            lag = timedelta(0) if waiting_since is None else now - waiting_since
            self.metrics.lag_s.set(max(0.0, lag.total_seconds()))
            self.metrics.nobody.set(nobody)
