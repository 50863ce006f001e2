"""Settings of the console: who signs in how, and how much a page shows."""

from datetime import timedelta
from typing import Self

from pydantic import BaseModel, ConfigDict, FilePath, PositiveInt, model_validator


class ConsoleSettings(BaseModel):
    """``API_CONSOLE__PEOPLE_FILE``, ``API_CONSOLE__TODAY_ROWS_MAX``, ..."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Both of the private stack only: whom its sign-in page offers, and what signs their tokens.
    people_file: FilePath | None = None
    signing_key_file: FilePath | None = None
    session_minutes: PositiveInt = 480  # Of those people: a doctor's day.
    profile: str = "wuzhou"  # As JUDGE_PROFILE: limits shown for whom no case names a profile.
    today_rows_max: PositiveInt = 100
    worklist_rows_max: PositiveInt = 50
    points_max: PositiveInt = 10_000  # Of one chart: three years of ten readings a day.

    @property
    def session(self) -> timedelta:
        """How long one of those people stays signed in."""
        return timedelta(minutes=self.session_minutes)

    @model_validator(mode="after")
    def _people_can_be_signed_in(self) -> Self:
        if (self.people_file is None) != (self.signing_key_file is None):
            msg = (
                "API_CONSOLE__PEOPLE_FILE and API_CONSOLE__SIGNING_KEY_FILE belong together: "
                "set both, or none"
            )
            raise ValueError(msg)
        return self
