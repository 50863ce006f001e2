"""Settings of the operators' pages: when something counts as silent, and how much is shown."""

from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt

from ingest.db.connections import Dsn


class OperationsSettings(BaseModel):
    """``API_OPERATIONS__DEVICE_SILENT_H``, ``API_OPERATIONS__SAMPLE_S``, ..."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # A gateway tells its status every 60 s (``GATEWAY_STATUS_INTERVAL_S``): three are missing.
    gateway_silent_s: PositiveInt = 180
    # A station's terminal measures on every working day; a weekend is not told apart.
    device_silent_h: PositiveInt = 24
    calibration_warn_days: PositiveInt = 30
    battery_low_percent: PositiveInt = 20  # As the gateway's own warning.
    fleet_rows_max: PositiveInt = 200  # Gateways on one page.
    # Items on one page, and so of one replay; a form of the console takes 120 fields.
    quarantine_rows_max: Annotated[int, Field(ge=1, le=100)] = 40
    sample_s: PositiveFloat = 15  # Between samples of the flow.
    sample_keep_h: PositiveInt = 48
    backtest_s_max: PositiveInt = 1_800
    # Who reads all histories for a back-test, in a process of its own: the login of maintenance.
    # None: the API's own, which must then be a member of `suifang_backtest`.
    backtest_dsn: Dsn | None = None
    token_hours: PositiveInt = 72  # Of an enrolment token that the page gives.

    @property
    def gateway_silent(self) -> timedelta:
        """After its last status."""
        return timedelta(seconds=self.gateway_silent_s)

    @property
    def device_silent(self) -> timedelta:
        """After it was last seen by its gateway."""
        return timedelta(hours=self.device_silent_h)
