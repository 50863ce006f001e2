"""Settings of webhooks: what the API takes, and how the delivering process goes about it."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, FilePath, PositiveInt, model_validator
from pydantic_settings import SettingsConfigDict

from api.webhooks.addresses import NetworkText
from api.webhooks.retries import RetrySettings
from ingest.db.connections import Dsn
from ingest.db.environment import ProcessSettings
from ingest.observation import ObservationSettings


class WebhookSettings(BaseModel):
    """``API_WEBHOOKS__PER_OWNER_MAX``, ``API_WEBHOOKS__ALLOWED_NETWORKS``, ..."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    per_owner_max: PositiveInt = 20
    allowed_networks: tuple[NetworkText, ...] = ()  # The same as DELIVER_ALLOWED_NETWORKS.
    secret_overlap_h: PositiveInt = 24  # How long a secret that was replaced still signs.


class DeliverSettings(ProcessSettings):
    """Environment: ``DELIVER_DB_DSN``, ``DELIVER_ALLOWED_NETWORKS``, ...

    The address must reach PostgreSQL itself, as the dispatcher's: the election is a lock held by
    one session.
    """

    model_config = SettingsConfigDict(
        env_prefix="DELIVER_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    db_dsn: Dsn
    key_file: FilePath | None = None  # The same as API_KEY_FILE.
    ca_file: Path | None = None  # One more authority for receivers' certificates.
    allowed_networks: tuple[NetworkText, ...] = ()  # Besides what is public; plain http only there.
    receivers_max: PositiveInt = 50  # Told at the same time; each gets one event at a time.
    batch_max: PositiveInt = 20  # Events read at once for one receiver.
    batches_max: PositiveInt = 50  # Then another receiver's turn.
    scan_rows_max: PositiveInt = 2_000
    answer_ms_max: PositiveInt = 15_000  # Source: Standard Webhooks 1.0.0: 15 to 30 s.
    retry: RetrySettings = RetrySettings()
    metrics: ObservationSettings = ObservationSettings()
    poll_ms: PositiveInt = 1_000
    standby_poll_ms: PositiveInt = 500
    idle_s_max: PositiveInt = 30  # The database drops a frozen process after this.
    retry_ms_max: PositiveInt = 5_000  # Between attempts to reach the database.
    retry_after_s: PositiveInt = 2
    db_connections_max: PositiveInt = 10
    db_waiting_max: PositiveInt = 200
    db_wait_ms_max: PositiveInt = 10_000
    statement_ms_max: PositiveInt = 10_000
    shutdown_s_max: PositiveInt = 10

    @model_validator(mode="after")
    def _waiting_is_shorter_than_being_dropped(self) -> Self:
        if max(self.poll_ms, self.standby_poll_ms) >= self.idle_s_max * 1_000:
            msg = "DELIVER_IDLE_S_MAX must be longer than both poll times"
            raise ValueError(msg)
        return self
