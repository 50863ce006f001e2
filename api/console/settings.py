"""Settings of the console: who signs in how, and how much a page shows."""

from datetime import timedelta
from typing import Annotated, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, FilePath, PositiveInt, model_validator

from api.auth.settings import is_loopback

RETURN_PATH: Final = "/console/sign-in/return"


class OidcSettings(BaseModel):
    """``API_CONSOLE__OIDC__CLIENT_ID``, ...: the console as a client of ``API_AUTH__ISSUER``.

    Its access tokens must be JWTs that the API believes, and last as long as somebody should stay
    signed in. Without a secret it is a public client; PKCE is used either way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    client_id: Annotated[str, Field(min_length=1, max_length=200)]
    client_secret_file: FilePath | None = None
    authorize_url: str  # Where the browser goes.
    token_url: str  # Where this process asks.
    return_url: str  # This console as browsers see it, and as the issuer knows it.
    scope: str = "openid"
    fetch_ms_max: PositiveInt = 5_000

    def read_secret(self) -> str | None:
        """The client's secret; read each time, for it is changed now and then."""
        if self.client_secret_file is None:
            return None
        return self.client_secret_file.read_text("utf-8").strip()

    @model_validator(mode="after")
    def _addresses_are_safe(self) -> Self:
        for name in ("authorize_url", "token_url", "return_url"):
            parts = urlsplit(getattr(self, name))
            plain = parts.scheme == "http" and is_loopback(parts.hostname or "")
            if not parts.hostname or parts.username or not (parts.scheme == "https" or plain):
                msg = (
                    f"API_CONSOLE__OIDC__{name.upper()} must begin with https:// and hold no"
                    " password"
                )
                raise ValueError(msg)
        if urlsplit(self.return_url).path != RETURN_PATH:
            msg = f"API_CONSOLE__OIDC__RETURN_URL must end with {RETURN_PATH}"
            raise ValueError(msg)
        return self


class ConsoleSettings(BaseModel):
    """``API_CONSOLE__PEOPLE_FILE``, ``API_CONSOLE__TODAY_ROWS_MAX``, ..."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # Both of the private stack only: whom its sign-in page offers, and what signs their tokens.
    people_file: FilePath | None = None
    signing_key_file: FilePath | None = None
    # Likewise: which gateways a scenario may be played to, as `suifang demo` writes it.
    simulator_file: FilePath | None = None
    session_minutes: PositiveInt = 480  # Of those people: a doctor's day.
    oidc: OidcSettings | None = None  # People sign in at the issuer.
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
