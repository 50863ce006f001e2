"""Requests that are tried again: everything here may be sent twice, so a lost answer costs nothing.

It must never try again what the API refused for good. Waits are what ``Retry-After`` says, else
they double, each with a little chance in it, and are bounded.
"""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx
from pydantic import ValidationError

from api.client.errors import ProblemError, UnreachableError
from api.problems import MEDIA_TYPE, Problem

_AGAIN: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often and how long.

    Attributes:
        attempts_max: Of one request, the first one included.
        wait_s: Before the second attempt, when the API does not say.
        wait_s_max: Before any attempt, whatever the API says.
        answer_s_max: Without a byte of an answer.
    """

    attempts_max: int = 6
    wait_s: float = 0.5
    wait_s_max: float = 60.0
    answer_s_max: float = 30.0

    def before(self, attempt: int, response: httpx.Response | None) -> float:
        """Seconds to wait before an attempt (2, 3, ...) after this answer, or none."""
        told = None if response is None else response.headers.get("Retry-After", "")
        if told and told.isdecimal():
            return min(float(told), self.wait_s_max)
        doubled: float = self.wait_s * 2 ** (attempt - 2)
        return min(doubled, self.wait_s_max) * random.uniform(0.5, 1)  # noqa: S311 - jitter


class Transport:
    """One credential at one address. Not for several threads at once."""

    def __init__(
        self,
        address: str,
        credential: str,
        *,
        patience: Patience,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.patience = patience
        self._sleep = sleep
        self.client = httpx.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {credential}"},
            timeout=patience.answer_s_max,
            transport=transport,
        )

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,  # noqa: ANN401 - JSON
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """The answer, which is a success.

        Raises:
            ProblemError: It was refused.
            UnreachableError: No answer after all attempts.
        """
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        for attempt in range(1, self.patience.attempts_max + 1):
            response: httpx.Response | None = None
            try:
                response = self.client.request(
                    method, path, params=asked, json=body, headers=headers
                )
            except httpx.TransportError as error:
                if attempt == self.patience.attempts_max:
                    raise _unreachable(path, error) from error
            if response is not None and (
                response.status_code not in _AGAIN or attempt == self.patience.attempts_max
            ):
                return require_success(response)
            self.pause(attempt + 1, response)
        msg = f"{path}: attempts_max is {self.patience.attempts_max}; allow one at least"
        raise UnreachableError(msg)

    def pause(self, attempt: int, response: httpx.Response | None) -> None:
        """Wait before an attempt."""
        self._sleep(self.patience.before(attempt, response))


def require_success(response: httpx.Response) -> httpx.Response:
    """The response itself. Raises ``ProblemError`` or ``UnreachableError``."""
    if response.is_success or response.status_code == httpx.codes.NOT_MODIFIED:
        return response
    response.read()
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    if kind == MEDIA_TYPE:
        try:
            raise ProblemError(response.status_code, Problem.model_validate_json(response.content))
        except ValidationError as error:
            raise _unreachable(response.url.path, error) from error
    msg = f"{response.url.path}: {response.status_code} from something that is not the API"
    raise UnreachableError(msg)


def _unreachable(path: str, error: Exception) -> UnreachableError:
    return UnreachableError(f"{path}: {type(error).__name__}: {error}")
