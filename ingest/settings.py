"""Settings of the ingest and judge processes, read once from the environment by the command."""

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
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

from gateway.wire.limits import QUARANTINE_BYTES_MAX, READINGS_PER_BATCH_MAX
from ingest.db.connections import Dsn
from ingest.db.environment import ProcessSettings
from ingest.observation import ObservationSettings

MESSAGE_BYTES_MAX: Final = QUARANTINE_BYTES_MAX
"""The broker lets no more through."""
READINGS_UNRECEIPTED_MAX: Final = 4 * READINGS_PER_BATCH_MAX  # Architecture 8.1.
SourceChannel: TypeAlias = Literal["readings", "backlog"]


def _require_authority(file: Path) -> Path:
    try:
        ssl.create_default_context(cafile=file)
    except OSError as error:
        msg = f"{file} holds no certificate in PEM, or cannot be read ({error})"
        raise ValueError(msg) from error
    return file


Authority: TypeAlias = Annotated[Path, AfterValidator(_require_authority)]


class BatchSettings(BaseModel):
    """When a batch is closed, and how many may wait."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    messages_max: PositiveInt = 5_000
    bytes_max: PositiveInt = 2_500_000  # Bounds the readings of one transaction: about 7,000.
    age_ms_max: PositiveInt = 1
    # From so many messages on, which is more than 2,000 a second bring, a batch may grow longer.
    busy_messages_min: PositiveInt = 100
    busy_age_ms_max: PositiveInt = 30


class BrokerSettings(BaseModel):
    """The MQTT session. Stable ``client_id``: what the broker holds for it waits for it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65_535)] = 1883
    username: str = "ingest"
    ca_file: Authority | None = None  # TLS, for a broker elsewhere: who signed its certificate.
    client_id: Annotated[str, Field(pattern=r"^ingest-\d{1,4}$")] = "ingest-0"
    # Throughput is at most window / commit latency (measured: 4,000/s with 2,000); Mosquitto's
    # max_inflight_messages must be at least this.
    receive_window: Annotated[int, Field(ge=1, le=65_535)] = 65_535
    # Mosquitto reads one acknowledgement for each packet that every other connection has for it:
    # under a burst a session stands still once its window is full, so there are several.
    live_sessions: Annotated[int, Field(ge=1, le=8)] = 2
    # Of the backlog, in batches of up to 500: small, so that the broker keeps the rest of it.
    backlog_window: Annotated[int, Field(ge=1, le=65_535)] = 100
    bytes_waiting_max: PositiveInt = 8_000_000  # Of each: above this we stop reading the socket.
    keep_alive_s: Annotated[int, Field(ge=5, le=600)] = 30
    session_expiry_s: PositiveInt = 14 * 86_400
    # Asked to stop, end the session as well, once all of it is settled: where workers come and go
    # (Kubernetes). Otherwise the broker keeps it, and its share of what comes, for our return.
    leave_on_stop: bool = False
    timeout_s: PositiveFloat = 10
    reconnect_s_max: PositiveFloat = 10

    @property
    def live_ids(self) -> list[str]:
        """The client id of each session for live readings."""
        return [f"{self.client_id}-{n}" if n else self.client_id for n in range(self.live_sessions)]

    @property
    def backlog_id(self) -> str:
        """The client id of the session for the backlog."""
        return f"{self.client_id}-backlog"


class ThrottleSettings(BaseModel):
    """A gateway's fair share. Two terminals that measure once a minute send 0.03 a second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    readings_per_s: PositiveFloat = 1_000
    burst_readings: PositiveInt = 20_000  # At once, after an outage: more than a site's day.
    delay_s_max: Annotated[float, Field(gt=0, lt=60)] = 30  # A gateway sends again after 60 s.


class IngestSettings(ProcessSettings):
    """Environment: ``INGEST_DB_DSN``, ``INGEST_BROKER_PASSWORD``, ``INGEST_BROKER__PORT``, ..."""

    model_config = SettingsConfigDict(
        env_prefix="INGEST_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    db_dsn: Dsn
    broker_password: SecretStr
    broker: BrokerSettings = BrokerSettings()
    batch: BatchSettings = BatchSettings()
    throttle: ThrottleSettings = ThrottleSettings()
    observation: ObservationSettings = ObservationSettings()
    shutdown_s_max: PositiveFloat = 10  # To store what was taken; the rest is redelivered.
    profile: str = "wuzhou"
    profile_directory: DirectoryPath | None = None
    database_retry_s_max: PositiveFloat = 5
    database_answer_s_max: PositiveFloat = 180  # Of a whole transaction; a statement may take 60.

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        """Refuse what could never work: throughput is at most window / commit latency."""
        broker, batch = self.broker, self.batch
        if broker.receive_window < batch.messages_max:
            msg = (
                f"broker.receive_window ({broker.receive_window}) is smaller than"
                f" batch.messages_max ({batch.messages_max}): no batch could fill"
            )
            raise ValueError(msg)
        if min(batch.bytes_max, broker.bytes_waiting_max) < MESSAGE_BYTES_MAX:
            msg = (
                f"batch.bytes_max ({batch.bytes_max}) and broker.bytes_waiting_max"
                f" ({broker.bytes_waiting_max}) must let one message of {MESSAGE_BYTES_MAX} through"
            )
            raise ValueError(msg)
        if broker.bytes_waiting_max < batch.bytes_max:
            msg = (
                f"broker.bytes_waiting_max ({broker.bytes_waiting_max}) is smaller than"
                f" batch.bytes_max ({batch.bytes_max}): no batch could fill"
            )
            raise ValueError(msg)
        if batch.busy_age_ms_max < batch.age_ms_max:
            msg = (
                f"batch.busy_age_ms_max ({batch.busy_age_ms_max}) is shorter than"
                f" batch.age_ms_max ({batch.age_ms_max})"
            )
            raise ValueError(msg)
        if self.throttle.burst_readings < READINGS_UNRECEIPTED_MAX:
            msg = (
                f"throttle.burst_readings ({self.throttle.burst_readings}) is below the"
                f" {READINGS_UNRECEIPTED_MAX} readings a gateway may have on the way: a site that"
                " comes back would be answered late"
            )
            raise ValueError(msg)
        return self


class JudgeSettings(ProcessSettings):
    """Environment: ``JUDGE_DB_DSN``, ``JUDGE_PROFILE``, ``JUDGE_SESSION_WAIT_S``, ..."""

    model_config = SettingsConfigDict(
        env_prefix="JUDGE_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    db_dsn: Dsn
    profile: str = "wuzhou"
    profile_directory: DirectoryPath | None = None  # The deployment's own, beside the program's.
    session_wait_s: PositiveFloat | None = None  # None: as the profile says (10 minutes).
    residents_max: PositiveInt = 500  # Of one transaction.
    poll_ms: PositiveInt = 200
    database_retry_s_max: PositiveFloat = 5
    observation: ObservationSettings = ObservationSettings()

    @property
    def session_wait(self) -> timedelta | None:
        """How long after its last reading a session is judged; None: the profile's."""
        return None if self.session_wait_s is None else timedelta(seconds=self.session_wait_s)
