"""Bounds of what is computed over whole cities."""

from pydantic import BaseModel, ConfigDict, NonNegativeInt, PositiveInt


class IndicatorSettings(BaseModel):
    """Environment: ``API_INDICATORS__STATEMENT_MS_MAX``, ..."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statement_ms_max: PositiveInt = 10_000  # Instead of the API's: a city is more than a page.
    sort_memory_kb: PositiveInt = 131_072  # PostgreSQL's work_mem of these statements.
    kept_s: PositiveInt = 15  # The same question is answered from memory for so long,
    stale_s: NonNegativeInt = 300  # and once more up to this age, while it is computed anew.
    answers_kept_max: PositiveInt = 64
    waiting_max: PositiveInt = 50  # One is computed at a time; so many may wait for it.
