"""What can go wrong for a client of the API, told apart by what it does next.

ClientError
├── ProblemError       the API refused, and says why: ``problem.type`` is stable, switch on it
└── UnreachableError   no answer, or none that makes sense, after all attempts; nothing is known
"""

from api.problems import Problem


class ClientError(Exception):
    """Base of both."""


class ProblemError(ClientError):
    """The API refused.

    Attributes:
        status: Of HTTP.
        problem: As it was told (RFC 9457): ``type``, ``detail``, and ``errors`` by field.
    """

    def __init__(self, status: int, problem: Problem) -> None:
        self.status = status
        self.problem = problem
        super().__init__(f"{status} {problem.title}: {problem.detail}")

    @property
    def kind(self) -> str:
        """The last part of ``problem.type``, such as ``precondition-failed``."""
        return self.problem.type.rpartition(":")[2]


class UnreachableError(ClientError):
    """The API did not answer, however often it was asked."""
