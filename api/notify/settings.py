"""Settings of the notifier, built once in the command and passed down.

Without a channel nobody can be told: the command refuses to start, rather than record that it told
nobody. Secrets come from files.
"""

from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    HttpUrl,
    PositiveInt,
    model_validator,
)
from pydantic_settings import SettingsConfigDict

from api.auth.settings import is_loopback
from api.notify.hours import USUAL, DutyHours
from api.notify.ladder import Ladder
from ingest.db.connections import Dsn
from ingest.db.environment import ProcessSettings
from ingest.observation import ObservationSettings

_MINUTES: Final = "Minutes after the alert opened"


class LadderSettings(BaseModel):
    """When reminders and escalations are due. Minutes; each not earlier than the one before.

    Source: this product's choice (ADR 0036).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reminder_min: Annotated[int, Field(ge=1, description=_MINUTES)]
    team_leader_min: Annotated[int, Field(ge=1, description=_MINUTES)]
    centre_min: Annotated[int, Field(ge=1, description=_MINUTES)]

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        if not self.reminder_min <= self.team_leader_min <= self.centre_min:
            msg = "reminder_min, team_leader_min and centre_min must not go down"
            raise ValueError(msg)
        return self

    def ladder(self) -> Ladder:
        """As ``climb`` takes it."""
        return Ladder(
            reminder=timedelta(minutes=self.reminder_min),
            team_leader=timedelta(minutes=self.team_leader_min),
            centre=timedelta(minutes=self.centre_min),
        )


class EmailSettings(BaseModel):
    """A mail server that takes our mail."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str
    port: Annotated[int, Field(ge=1, le=65_535)] = 465
    security: Literal["tls", "starttls", "none"] = "tls"
    sender: str
    user: str | None = None
    password_file: FilePath | None = None
    ca_file: FilePath | None = None  # Beside the system's authorities.

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.security == "none" and not is_loopback(self.host):
            msg = "security: mail leaves this machine only by tls or starttls"
            raise ValueError(msg)
        if (self.user is None) != (self.password_file is None):
            msg = "password_file: user and password_file belong together: set both, or none"
            raise ValueError(msg)
        if "@" not in self.sender or any(c in self.sender for c in "\r\n"):
            msg = "sender: write name@host"
            raise ValueError(msg)
        return self


class WebhookSettings(BaseModel):
    """An address of yours that passes messages on: a pager, an SMS gateway, a chat."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: HttpUrl
    secret_file: FilePath
    ca_file: FilePath | None = None

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        if self.url.scheme != "https" and not is_loopback(self.url.host or ""):
            msg = "url: use https, what is sent is about people"
            raise ValueError(msg)
        return self


class NotifySettings(ProcessSettings):
    """Environment: ``NOTIFY_DB_DSN``, ``NOTIFY_EMAIL__HOST``, ``NOTIFY_CRITICAL__CENTRE_MIN``, ...

    The address must reach PostgreSQL itself: a pooler that shares sessions would break the
    election, which is a lock held by one session.
    """

    model_config = SettingsConfigDict(
        env_prefix="NOTIFY_", env_nested_delimiter="__", frozen=True, extra="forbid"
    )

    db_dsn: Dsn
    email: EmailSettings | None = None
    webhook: WebhookSettings | None = None
    adapters: tuple[str, ...] = ()  # Channels of one's own, as `package.module:make`.
    critical: LadderSettings = LadderSettings(reminder_min=10, team_leader_min=20, centre_min=40)
    high: LadderSettings = LadderSettings(reminder_min=240, team_leader_min=1440, centre_min=2880)
    quiet_from: time = USUAL.quiet_from  # Of places that have no hours of their own.
    quiet_until: time = USUAL.quiet_until
    shifts: tuple[time, ...] = tuple(USUAL.shifts)
    poll_ms: PositiveInt = 1_000  # A lost NOTIFY costs at most this.
    standby_poll_ms: PositiveInt = 500
    statement_ms_max: PositiveInt = 30_000
    idle_s_max: PositiveInt = 120  # The database drops a frozen notifier after this.
    retry_ms_max: PositiveInt = 5_000
    alerts_max: PositiveInt = 200  # Looked at in one transaction.
    messages_max: PositiveInt = 32  # Sent in one round,
    sending_max: PositiveInt = 8  # of which at once.
    send_s_max: PositiveInt = 15  # One attempt.
    again_s_min: PositiveInt = 30  # After a failure; doubled each time,
    again_s_max: PositiveInt = 1_800  # up to this.
    attempts_max: PositiveInt = 50  # Then it is given up: a day, with the two above.
    refused_s_max: PositiveInt = 14_400  # Who is refused again and again is left alone up to this.
    untold_s: PositiveInt = 300  # Until one of which nobody could be told is looked at again.
    metrics: ObservationSettings = ObservationSettings()

    @property
    def hours(self) -> DutyHours:
        """Of places that have none of their own."""
        return DutyHours(
            quiet_from=self.quiet_from, quiet_until=self.quiet_until, shifts=self.shifts
        )

    def refused_pause(self, refusals: int) -> timedelta:
        """For how long nobody tries again who was refused so often: 1 is the first time."""
        longest = max(self.refused_s_max, self.again_s_max)
        return timedelta(seconds=min(longest, self.again_s_max * 2 ** min(refusals - 1, 20)))

    @model_validator(mode="after")
    def _can_tell_somebody(self) -> Self:
        if self.email is None and self.webhook is None and not self.adapters:
            msg = (
                "nobody can be told: set NOTIFY_EMAIL__HOST and NOTIFY_EMAIL__SENDER,"
                " NOTIFY_WEBHOOK__URL and NOTIFY_WEBHOOK__SECRET_FILE, or NOTIFY_ADAPTERS"
            )
            raise ValueError(msg)
        waves = -(-self.messages_max // self.sending_max)
        if waves * self.send_s_max + self.poll_ms / 1_000 >= self.idle_s_max:
            msg = (
                "NOTIFY_IDLE_S_MAX must be longer than a round of attempts and a poll (MESSAGES_MAX"
                " / SENDING_MAX * SEND_S_MAX), or the database drops a notifier that only waits"
            )
            raise ValueError(msg)
        return self


def read_secret(path: Path) -> str:
    """The first line of a file. Raises ``OSError``."""
    return path.read_text("utf-8").splitlines()[0].strip()
