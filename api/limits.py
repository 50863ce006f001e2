"""How often one may ask: a token bucket for each principal, each address, each guesser.

In this process and in bounded memory: with N processes one may ask N times as often, which is
meant as protection from mistakes and guessing, not as accounting. It must never hold a credential
or lock anybody out for longer than its bucket takes to fill. Loopback addresses are not limited:
what stands there is a proxy of ours, and whoever it speaks for is named by it.
"""

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from api.auth.principal import Principal
from api.auth.settings import is_loopback
from api.errors import TooManyRequestsError

_NOWHERE: Final = ""


class LimitSettings(BaseModel):
    """``API_LIMITS__PERSON_PER_S``, ... Requests a second, and how many may come at once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    person_per_s: PositiveFloat = 20.0  # A busy console: a page with a dozen panels, reloaded.
    person_burst: PositiveInt = 100
    machine_per_s: PositiveFloat = 500.0
    machine_burst: PositiveInt = 1_000
    address_per_s: PositiveFloat = 200.0  # A centre's doctors share one address.
    address_burst: PositiveInt = 1_000
    failures_per_s: PositiveFloat = 0.5  # Of one address: bad credentials, each counted once.
    failures_burst: PositiveInt = 30
    remembered_max: PositiveInt = 20_000  # Buckets of each kind.
    address_bytes_max: PositiveInt = 8_192  # Path and query.
    body_bytes_max: PositiveInt = 65_536  # Bulk is bound line by line instead.


class Buckets:
    """Token buckets by name; the one not asked for longest is forgotten first.

    A forgotten bucket is a full one, so ``remembered_max`` names must be tried to gain a burst.
    """

    def __init__(
        self, per_s: float, burst: int, remembered_max: int, now_s: Callable[[], float]
    ) -> None:
        self._per_s = per_s
        self._burst = burst
        self._remembered_max = remembered_max
        self._now_s = now_s
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, name: str) -> float:
        """Seconds until there is a token; 0 when there is one now."""
        left = self._refilled(name)
        return 0.0 if left >= 1 else (1 - left) / self._per_s

    def is_full(self, name: str) -> bool:
        """Whether none was taken for so long that it counts no more."""
        return self._refilled(name) >= self._burst

    def take(self, name: str) -> None:
        """Take a token, if there is one."""
        left = self._refilled(name)
        self._left[name] = (left - 1 if left >= 1 else left, self._now_s())
        self._left.move_to_end(name)
        while len(self._left) > self._remembered_max:
            self._left.popitem(last=False)

    def _refilled(self, name: str) -> float:
        known = self._left.get(name)
        if known is None:
            return float(self._burst)
        left, at_s = known
        return min(float(self._burst), left + (self._now_s() - at_s) * self._per_s)


class Limiter:
    """All buckets of one process. Times are monotonic seconds."""

    def __init__(
        self, settings: LimitSettings, now_s: Callable[[], float] = time.monotonic
    ) -> None:
        def buckets(per_s: float, burst: int) -> Buckets:
            return Buckets(per_s, burst, settings.remembered_max, now_s)

        self._addresses = buckets(settings.address_per_s, settings.address_burst)
        self._guesses = buckets(settings.failures_per_s, settings.failures_burst)
        self._repetitions = buckets(settings.failures_per_s, settings.failures_burst)
        self._principals = {
            "person": buckets(settings.person_per_s, settings.person_burst),
            "machine": buckets(settings.machine_per_s, settings.machine_burst),
        }

    def take_from(self, address: str) -> None:
        """One request of an address. Raises ``TooManyRequestsError``."""
        if _is_limited(address):
            _take(self._addresses, address, "this address asks too often")

    def require_trust(self, address: str, credential: str) -> None:
        """Refuse to check one more: too many bad ones came from there, or this one too often.

        Whose credential was found good a while ago is not asked this: a doctor works on beside a
        machine of the same centre that guesses, or does not know that its key has ended.
        """
        if not _is_limited(address):
            return
        guessed_s = self._guesses.wait_s(address)
        if guessed_s:
            why = "too many bad credentials came from this address"
            raise _refusal(why, guessed_s)
        repeated_s = self._repetitions.wait_s(_attempt(address, credential))
        if repeated_s:
            why = "this credential is bad and came too often"
            raise _refusal(why, repeated_s)

    def note_failure(self, address: str, credential: str) -> None:
        """A bad credential. The same one again is no further guess."""
        if not _is_limited(address):
            return
        attempt = _attempt(address, credential)
        if self._repetitions.is_full(attempt):
            self._guesses.take(address)
        self._repetitions.take(attempt)

    def take_for(self, principal: Principal) -> None:
        """One request of a principal. Raises ``TooManyRequestsError``."""
        if principal.kind != "local":
            _take(self._principals[principal.kind], principal.subject, "you ask too often")


def _attempt(address: str, credential: str) -> str:
    """A name for a credential that does not give it away."""
    digest = hashlib.sha256(credential.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{address} {digest}"


def _is_limited(address: str) -> bool:
    return address != _NOWHERE and not is_loopback(address)


def _take(buckets: Buckets, name: str, why: str) -> None:
    wait_s = buckets.wait_s(name)
    if wait_s:
        raise _refusal(why, wait_s)
    buckets.take(name)


def _refusal(why: str, wait_s: float) -> TooManyRequestsError:
    seconds = math.ceil(wait_s)
    return TooManyRequestsError(f"{why}; try again in {seconds} s", retry_after_s=seconds)
