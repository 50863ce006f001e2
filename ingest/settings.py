"""Settings of the ingest and judge processes, read once from the environment by the command."""

from datetime import timedelta
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import (
    BaseModel,
    ConfigDict,
    DirectoryPath,
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    model_validator,
)
from pydantic_settings import SettingsConfigDict

from ingest.db.connections import Dsn
from ingest.db.environment import ProcessSettings

SourceChannel: TypeAlias = Literal["readings", "backlog"]


class BatchSettings(BaseModel):
    """When a batch is closed, and how many may wait."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages_max: PositiveInt = 5_000
    bytes_max: PositiveInt = 4_000_000  # Bounds the readings of one transaction: about 10,000.
    age_ms_max: PositiveInt = 5


class BrokerSettings(BaseModel):
    """The MQTT session. Stable ``client_id``: what the broker holds for it waits for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    username: str = "ingest"
    client_id: Annotated[str, Field(pattern=r"^ingest-\d{1,4}$")] = "ingest-0"
    # Throughput is at most window / commit latency (measured: 4,000/s with 2,000); Mosquitto's
    # max_inflight_messages must be at least this.
    receive_window: Annotated[int, Field(ge=1, le=65_535)] = 20_000
    # Of the backlog, in batches of up to 500: small, so that the broker keeps the rest of it.
    backlog_window: Annotated[int, Field(ge=1, le=65_535)] = 100
    bytes_waiting_max: PositiveInt = 16_000_000  # Of each: above this we stop reading the socket.
    keep_alive_s: Annotated[int, Field(ge=5, le=600)] = 30
    session_expiry_s: PositiveInt = 14 * 86_400
    timeout_s: PositiveFloat = 10
    reconnect_s_max: PositiveFloat = 10

    def client_id_of(self, channel: SourceChannel) -> str:
        """The session of a channel; both are this worker's alone."""
        return self.client_id if channel == "readings" else f"{self.client_id}-backlog"

    def window_of(self, channel: SourceChannel) -> int:
        """How many unacknowledged messages the broker may send."""
        return self.receive_window if channel == "readings" else self.backlog_window


class IngestSettings(ProcessSettings):
    """Environment: ``INGEST_DB_DSN``, ``INGEST_BROKER_PASSWORD``, ``INGEST_BROKER__PORT``, ..."""

    model_config = SettingsConfigDict(
        env_prefix="INGEST_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    db_dsn: Dsn
    broker_password: SecretStr
    broker: BrokerSettings = BrokerSettings()
    batch: BatchSettings = BatchSettings()
    profile: str = "wuzhou"
    profile_directory: DirectoryPath | None = None
    database_retry_s_max: PositiveFloat = 5

    @model_validator(mode="after")
    def _window_covers_a_batch(self) -> Self:
        if self.broker.receive_window < self.batch.messages_max:
            msg = "broker.receive_window is smaller than batch.messages_max: no batch could fill"
            raise ValueError(msg)
        return self


class JudgeSettings(ProcessSettings):
    """Environment: ``JUDGE_DB_DSN``, ``JUDGE_PROFILE``, ``JUDGE_SESSION_WAIT_S``, ..."""

    model_config = SettingsConfigDict(env_prefix="JUDGE_", frozen=True, extra="forbid")

    db_dsn: Dsn
    profile: str = "wuzhou"
    profile_directory: DirectoryPath | None = None  # The deployment's own, beside the program's.
    session_wait_s: PositiveFloat | None = None  # None: as the profile says (10 minutes).
    residents_max: PositiveInt = 500  # Of one transaction.
    poll_ms: PositiveInt = 200
    database_retry_s_max: PositiveFloat = 5

    @property
    def session_wait(self) -> timedelta | None:
        """How long after its last reading a session is judged; None: the profile's."""
        return None if self.session_wait_s is None else timedelta(seconds=self.session_wait_s)
