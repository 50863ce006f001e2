"""Somebody who reads the older API without a pause, while everything around it changes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

PATHS: Final = (
    *("/readyz", "/v1/alerts", "/v1/alerts?view=cases", "/v1/cases", "/v1/cases/counts"),
    *("/v1/events?after=0", "/v1/residents", "/v1/residents/r-1/timeline"),
)
_PAUSE_S: Final = 0.1
_FAULTS_MAX: Final = 10
_AGAIN_MAX, _AGAIN_S = 5, 1.0


class Reader:
    """Asks for what the API could answer when it began."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.paths = [path for path in PATHS if client.get(path).is_success]
        self.answers = 0
        self.again = 0  # Answers that said "try again" (503): a table was locked by the migration.
        self.faults: list[str] = []
        self._ended = threading.Event()

    def run(self) -> None:
        """Until it is told to end."""
        while not self._ended.is_set() and len(self.faults) < _FAULTS_MAX:
            for path in self.paths:
                try:
                    answer = self._ask(path)
                except httpx.HTTPError as error:
                    self.faults.append(f"{path}: {error!r}")
                    continue
                if not answer.is_success:
                    self.faults.append(f"{path}: {answer.status_code} {answer.text[:300]}")
            time.sleep(_PAUSE_S)

    def _ask(self, path: str) -> httpx.Response:
        """Ask, and as any client again while the answer says so."""
        answer = self._client.get(path)
        self.answers += 1
        for _ in range(_AGAIN_MAX):
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            self.again += 1
            time.sleep(_AGAIN_S)
            answer = self._client.get(path)
            self.answers += 1
        return answer

    def end(self) -> None:
        """After this round."""
        self._ended.set()


@contextmanager
def reading(address: str) -> Iterator[Reader]:
    """Somebody reads while the block runs."""
    with httpx.Client(base_url=address, timeout=60) as client:
        reader = Reader(client)
        thread = threading.Thread(target=reader.run)
        thread.start()
        try:
            yield reader
        finally:
            reader.end()
            thread.join()
