"""What the API says when it cannot answer. ``problems.py`` turns each into problem+json.

ApiError
├── BadParameterError       400  a query value, path value, header or cursor is no such thing
├── UnauthenticatedError    401  no credential, or none that can be used
├── ForbiddenError          403  the credential may not do this, wherever it looks
├── NotFoundError           404  the resource is not there
├── UnavailableError        503  the database does not answer in time; says when to come back
│   └── NotReadyError       503  a readiness check failed; carries every check
├── ListenersFullError      503  the feed has as many listeners as settings allow
└── FeedEndedError          503  the feed lost its database; an open stream ends cleanly
"""

from typing import ClassVar


class ApiError(Exception):
    """Base of all that the API refuses on purpose.

    Attributes:
        status: HTTP status of the problem.
        slug: Stable last part of the problem's ``type``; clients may switch on it.
        title: The same sentence for every problem of this type.
        msg: What happened this time and what to do next.
        retry_after_s: Seconds for ``Retry-After``, or None.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "The server failed"

    def __init__(self, msg: str, *, retry_after_s: int | None = None) -> None:
        self.msg = msg
        self.retry_after_s = retry_after_s
        super().__init__(msg)


class BadParameterError(ApiError):
    """One value in the request's address or headers cannot be used."""

    status = 400
    slug = "bad-parameter"
    title = "A parameter cannot be used"

    def __init__(self, *, field: str, value: str, remedy: str) -> None:
        self.field = field
        self.value = value
        self.remedy = remedy
        super().__init__(f"{field}: {remedy}")


class UnauthenticatedError(ApiError):
    """Nobody knows who asks. Says what to send, never why a secret was wrong."""

    status = 401
    slug = "unauthenticated"
    title = "Authentication is needed"


class ForbiddenError(ApiError):
    """Known, but not allowed to do this."""

    status = 403
    slug = "forbidden"
    title = "Not allowed"


class NotFoundError(ApiError):
    """The address is well formed, but nothing is there."""

    status = 404
    slug = "not-found"
    title = "Not found"


class UnavailableError(ApiError):
    """The database did not answer in time. Trying again later is safe: nothing is written."""

    status = 503
    slug = "unavailable"
    title = "The database does not answer"


class NotReadyError(UnavailableError):
    """At least one readiness check failed."""

    slug = "not-ready"
    title = "The service is not ready"

    def __init__(self, msg: str, *, checks: dict[str, str], retry_after_s: int) -> None:
        self.checks = checks
        super().__init__(msg, retry_after_s=retry_after_s)


class ListenersFullError(ApiError):
    """The feed has as many listeners as it may have."""

    status = 503
    slug = "listeners-full"
    title = "Too many listeners"


class FeedEndedError(ApiError):
    """The feed has no database just now."""

    status = 503
    slug = "feed-unavailable"
    title = "The live feed is interrupted"
