"""Promise: the client asks again where that helps, as late as it is told, and never for good."""

from collections.abc import Callable

import httpx
import pytest

from api.client import ProblemError, UnreachableError
from api.client.transport import Patience, Transport

PROBLEM = {
    "type": "urn:suifang:problem:precondition-failed",
    "title": "Another version stands",
    "status": 412,
    "detail": "version 2 stands",
    "instance": "/v1/x",
}
GOOD = httpx.Response(200, json={})


def a_problem(status: int, **headers: str) -> httpx.Response:
    named = {"Content-Type": "application/problem+json", **headers}
    return httpx.Response(status, json={**PROBLEM, "status": status}, headers=named)


class Line:
    """What comes back, one after the other; an error is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self._answers = list(answers)
        self.waited_s: list[float] = []
        self.asked = 0

    def answer(self, _: httpx.Request) -> httpx.Response:
        """The next one; the last one for ever."""
        self.asked += 1
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def ask(self) -> httpx.Response:
        """Ask through the client, without sleeping."""
        transport = Transport(
            "http://api",
            "key",
            patience=Patience(attempts_max=4, wait_s=1.0, wait_s_max=7.0),
            transport=httpx.MockTransport(self.answer),
            sleep=self.waited_s.append,
        )
        return transport.ask("GET", "/v1/x")


def test_it_waits_as_long_as_it_is_told() -> None:
    line = Line(
        a_problem(503, **{"Retry-After": "3"}), a_problem(429, **{"Retry-After": "99"}), GOOD
    )

    assert line.ask().is_success
    assert line.waited_s == [3.0, 7.0]  # Bounded, whatever it is told.


@pytest.mark.parametrize("trouble", [lambda: httpx.ConnectError("x"), lambda: a_problem(502)])
def test_it_waits_longer_each_time_and_gives_up(
    trouble: Callable[[], httpx.Response | Exception],
) -> None:
    line = Line(trouble())

    with pytest.raises((UnreachableError, ProblemError)):
        line.ask()
    assert line.asked == 4
    for waited_s, most_s in zip(line.waited_s, (1.0, 2.0, 4.0), strict=True):
        assert most_s / 2 <= waited_s <= most_s


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 422, 500])
def test_what_is_refused_for_good_is_not_asked_again(status: int) -> None:
    line = Line(a_problem(status))

    with pytest.raises(ProblemError) as refused:
        line.ask()
    assert (refused.value.status, refused.value.kind) == (status, "precondition-failed")
    assert (line.asked, line.waited_s) == (1, [])


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(404, text="<h1>nginx</h1>"),
        httpx.Response(400, json={}, headers={"Content-Type": "application/problem+json"}),
    ],
)
def test_an_answer_of_something_else_is_no_answer(answer: httpx.Response) -> None:
    with pytest.raises(UnreachableError):
        Line(answer).ask()
