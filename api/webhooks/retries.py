"""When an attempt that failed is made again, and when that ends. Pure.

Source: Standard Webhooks specification 1.0.0, "Deliverability": several days, exponential, jitter.
Later events wait for the first one, so the longest wait is half an hour, not a day: a receiver
that is back is told soon.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, PositiveInt


class RetrySettings(BaseModel):
    """``DELIVER_RETRY__FIRST_MS``, ..."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_ms: PositiveInt = 5_000  # Doubles at each failure, up to
    longest_s: PositiveInt = 1_800  # this one; a receiver's Retry-After may ask for
    asked_s_max: PositiveInt = 3_600  # as long as this.
    patience_h: PositiveInt = 72  # Then the subscription is parked.


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from a failure."""

    next_at: datetime
    parked: bool


def judge_failure(
    settings: RetrySettings,
    *,
    failures: int,
    failing_since: datetime,
    at: datetime,
    asked_s: float | None,
    dice: float,
) -> Verdict:
    """When to try again, or to give up.

    Args:
        settings: The bounds.
        failures: In a row, with this one: 1 is the first.
        failing_since: When the first of them was.
        at: Now.
        asked_s: The receiver's Retry-After, if it sent one.
        dice: From 0 up to 1: half of the wait is left to chance.
    """
    doublings = min(failures - 1, 30)  # 2**30 is above every bound.
    wait_s = min(settings.first_ms / 1_000 * 2**doublings, settings.longest_s) * (0.5 + dice / 2)
    if asked_s is not None:
        wait_s = max(wait_s, min(asked_s, settings.asked_s_max))
    parked = at - failing_since >= timedelta(hours=settings.patience_h)
    return Verdict(at + timedelta(seconds=wait_s), parked)
