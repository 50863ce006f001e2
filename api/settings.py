"""Settings of the API and the dispatcher, built once in the command and passed down.

Every queue, page, connection, wait and retry of these two has its bound here; deliver and notify
have settings of their own.
"""

from ipaddress import ip_address
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    DirectoryPath,
    Field,
    FilePath,
    PositiveInt,
    model_validator,
)
from pydantic_settings import SettingsConfigDict

from api.audit.settings import AuditSettings
from api.auth.settings import EMBEDDED_ISSUER, AuthSettings, is_loopback
from api.console.settings import ConsoleSettings
from api.fhir.settings import FhirSettings
from api.indicators.settings import IndicatorSettings
from api.limits import LimitSettings
from api.operations.settings import OperationsSettings
from api.webhooks.settings import WebhookSettings
from ingest.db.connections import Dsn
from ingest.db.environment import ProcessSettings
from ingest.observation import ObservationSettings


def _require_address(host: str) -> str:
    if not is_loopback(host):
        ip_address(host)  # Its own words are good: "'x' does not appear to be an IPv4 or …".
    return host


Address = Annotated[str, AfterValidator(_require_address)]


class FeedSettings(BaseModel):
    """How the numbered outbox reaches listeners."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    listeners_max: PositiveInt = 200
    poll_ms: PositiveInt = 1_000  # A lost NOTIFY costs at most this.
    page_rows_max: PositiveInt = 200  # Also all that is held for one listener.
    recent_events_max: PositiveInt = 2_000  # Shared by all listeners; older ones are read again.
    scan_rows_max: PositiveInt = 500  # Looked at for one page of `/v1/events`, 10 µs each.
    keep_alive_ms: PositiveInt = 10_000
    reconnect_ms: PositiveInt = 2_000  # What browsers are told to wait.


class BulkSettings(BaseModel):
    """How many residents come at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows_per_transaction: PositiveInt = 1_000
    line_bytes_max: PositiveInt = 65_536
    attempts_max: PositiveInt = 4  # Of one transaction, before the rest is given up.


class ApiSettings(ProcessSettings):
    """Environment: ``API_DB_DSN``, ``API_PORT``, ``API_FEED__LISTENERS_MAX``, ..."""

    model_config = SettingsConfigDict(
        env_prefix="API_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    db_dsn: Dsn
    host: Address = "127.0.0.1"
    # Off: whoever reaches this machine's loopback may everything. For development only.
    authentication: Literal["required", "off"] = "required"
    auth: AuthSettings = AuthSettings()
    console: ConsoleSettings = ConsoleSettings()
    port: Annotated[int, Field(ge=0, le=65_535)] = 8_000  # 0: any free one, printed at the start.
    key_file: FilePath | None = None  # Wraps the keys of names; None: names are not kept.
    pseudonym_key_file: FilePath | None = None  # None: ids are not compared with ID numbers.
    pseudonym_key_files_before: tuple[FilePath, ...] = ()  # Keys it replaced: their ids stay good.
    profile_directory: DirectoryPath | None = None  # The same as the judges'.
    db_connections_max: PositiveInt = 10
    db_waiting_max: PositiveInt = 200  # Requests that may wait for a connection.
    db_wait_ms_max: PositiveInt = 3_000
    statement_ms_max: PositiveInt = 5_000
    retry_ms_max: PositiveInt = 5_000
    retry_after_s: PositiveInt = 2
    connections_max: PositiveInt = 1_000
    shutdown_s_max: PositiveInt = 10
    dispatcher_lag_s_max: PositiveInt = 30
    feed: FeedSettings = FeedSettings()
    bulk: BulkSettings = BulkSettings()
    audit: AuditSettings = AuditSettings()
    indicators: IndicatorSettings = IndicatorSettings()
    limits: LimitSettings = LimitSettings()
    operations: OperationsSettings = OperationsSettings()
    metrics: ObservationSettings = ObservationSettings()
    fhir: FhirSettings = FhirSettings()
    webhooks: WebhookSettings = WebhookSettings()

    # The deployment's authority (`suifang pki init`); without it no certificates are given here.
    ca_file: FilePath | None = None
    ca_key_file: FilePath | None = None
    ca_beside_file: FilePath | None = None  # Boxes trust these, too: docs/rotation.md.
    certificate_days: Annotated[int, Field(ge=1, le=825)] = 365  # Of a gateway's certificate.

    @model_validator(mode="after")
    def _authority_is_whole(self) -> Self:
        if (self.ca_file is None) != (self.ca_key_file is None):
            msg = "API_CA_FILE and API_CA_KEY_FILE belong together: set both, or none"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _people_come_from_one_issuer(self) -> Self:
        for name in ("people_file", "simulator_file"):
            if getattr(self.console, name) is not None and self.auth.issuer != EMBEDDED_ISSUER:
                msg = (
                    f"API_CONSOLE__{name.upper()} is for the private stack's own issuer; "
                    "leave it out: people sign in at yours, and nothing is simulated there"
                )
                raise ValueError(msg)
        if self.console.oidc is not None and self.auth.issuer in {None, EMBEDDED_ISSUER}:
            msg = "API_CONSOLE__OIDC__CLIENT_ID needs API_AUTH__ISSUER, an issuer of your own"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _nobody_outside_comes_in_unasked(self) -> Self:
        if not is_loopback(self.host) and (
            self.authentication == "off" or self.auth.issuer == EMBEDDED_ISSUER
        ):
            msg = (
                f"API_HOST {self.host!r} can be reached from outside: use 127.0.0.1, ::1 or "
                "localhost, or API_AUTHENTICATION=required with API keys or an issuer of your own"
            )
            raise ValueError(msg)
        return self


class DispatcherSettings(ProcessSettings):
    """Environment: ``DISPATCHER_DB_DSN``, ``DISPATCHER_ROWS_MAX``, ...

    The address must reach PostgreSQL itself: a pooler that shares sessions would break the
    election, which is a lock held by one session.
    """

    model_config = SettingsConfigDict(
        env_prefix="DISPATCHER_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    db_dsn: Dsn
    rows_max: PositiveInt = 5_000  # Numbered in one transaction.
    poll_ms: PositiveInt = 1_000  # A lost NOTIFY costs at most this.
    standby_poll_ms: PositiveInt = 500  # How soon a standby sees that the elected one is gone.
    metrics: ObservationSettings = ObservationSettings()
    statement_ms_max: PositiveInt = 30_000
    idle_s_max: PositiveInt = 30  # The database drops a frozen dispatcher after this.
    retry_ms_max: PositiveInt = 5_000

    @model_validator(mode="after")
    def _waiting_is_shorter_than_being_dropped(self) -> Self:
        if max(self.poll_ms, self.standby_poll_ms) >= self.idle_s_max * 1_000:
            msg = (
                "DISPATCHER_IDLE_S_MAX must be longer than both poll times, "
                "or the database drops a dispatcher that only waits"
            )
            raise ValueError(msg)
        return self
