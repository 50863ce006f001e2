"""What the API says when it cannot answer. ``problems.py`` turns each into problem+json.

ApiError
├── BadParameterError       400  a query value, path value, header or cursor is no such thing
├── UnauthenticatedError    401  no credential, or none that can be used
├── ForbiddenError          403  the credential may not do this, wherever it looks
├── NotFoundError           404  the resource is not there
├── NotAcceptableError      406  the client takes no answer in a form that is written here
├── EventsGoneError         410  events after that number are not kept any more
├── EnrolmentRefusedError   403  a token gives no certificate; never says why
├── RenewalRefusedError     403  a certificate is not renewed; says why to its owner only
├── NoAuthorityError        503  this process was not given the authority that signs
├── RefusedContentError     422  a body's field names nothing, or contradicts another
├── PreconditionError       412  another version stands than the one asked for
├── ConflictError           409  what stands already says otherwise
│   ├── SettledError        409  the past that it is about is closed
│   └── AlertClosedError    409  an alert is not active any more, or somebody has it
├── ErasedError             409  name and ID number were erased and are accepted no more
├── UnsupportedContentError 415  the body is of a type that is not taken here
├── NoKeyError              503  names come or are asked for, and there is no key file
├── TooManyRequestsError    429  one principal or address asks too often; says when to come back
├── TooLargeError           413  the body is longer than it may be
├── AddressTooLongError     414  so is the address
├── UnavailableError        503  the database does not answer in time; says when to come back
│   └── NotReadyError       503  a readiness check failed; carries every check
├── ListenersFullError      503  the feed has as many listeners as settings allow
└── FeedEndedError          503  the feed lost its database; an open stream ends cleanly
"""

from enum import StrEnum
from typing import ClassVar


class ApiError(Exception):
    """Base of all that the API refuses on purpose.

    Attributes:
        status: HTTP status of the problem.
        slug: Stable last part of the problem's ``type``; clients may switch on it.
        title: The same sentence for every problem of this type.
        headers: Sent with every problem of this type.
        msg: What happened this time and what to do next.
        retry_after_s: Seconds for ``Retry-After``, or None.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "The server failed"
    headers: ClassVar[dict[str, str]] = {}

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
    headers: ClassVar[dict[str, str]] = {
        "WWW-Authenticate": 'Bearer realm="suifang", error="invalid_token"'
    }


class NotIntroducedError(UnauthenticatedError):
    """No credential came: then none is said to be wrong (RFC 6750, 3.1)."""

    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": 'Bearer realm="suifang"'}


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


class EventsGoneError(BadParameterError):
    """A place in the feed behind which events are missing: to go on there would skip them."""

    status = 410
    slug = "events-gone"
    title = "These events are not kept any more"

    def __init__(self, *, field: str, value: str, floor: int) -> None:
        remedy = (
            f"events up to {floor} are gone: read the lists again, then go on from there; "
            f"the feed begins with after={floor}"
        )
        super().__init__(field=field, value=value, remedy=remedy)


class EnrolmentRefusedError(ApiError):
    """No certificate for this token. One sentence for all reasons: a guess must learn nothing."""

    status = 403
    slug = "enrolment-refused"
    title = "No certificate for this token"

    def __init__(self) -> None:
        super().__init__(
            "the token is unknown, was used for another key, or has ended;"
            " ask the operator for a new one: suifang pki token"
        )


class NotRenewed(StrEnum):
    """Why a certificate gives no new one."""

    NOT_PROVED = "it is unknown here, or the request is not signed by its key"
    REVOKED = "it was revoked"
    ENDED = "it has ended"
    OTHER_KEY = "it was renewed already, for another key"
    TOO_OFTEN = "too many certificates of this gateway hold already"


class RenewalRefusedError(ApiError):
    """No new certificate for this one. The reason is for who has proved to own it."""

    status = 403
    slug = "renewal-refused"
    title = "The certificate is not renewed"

    def __init__(self, reason: NotRenewed) -> None:
        super().__init__(
            f"the present certificate gives no new one: {reason};"
            " enrol the gateway again with a token: suifang pki token, suifang gateway enroll"
        )


class NoAuthorityError(ApiError):
    """This process cannot sign."""

    status = 503
    slug = "no-authority"
    title = "Certificates are not given here"

    def __init__(self) -> None:
        super().__init__(
            "this API was started without the deployment's authority; make one by"
            " `suifang pki init` and set API_CA_FILE and API_CA_KEY_FILE"
        )


class RefusedContentError(BadParameterError):
    """The body is well formed, but one field names nothing, or contradicts another."""

    status = 422
    slug = "refused-content"
    title = "The content cannot be stored"


class PreconditionError(ApiError):
    """``If-Match`` or ``If-None-Match`` does not hold: somebody else has written meanwhile."""

    status = 412
    slug = "precondition-failed"
    title = "Another version stands"


class ConflictError(ApiError):
    """The request is sound, but contradicts what stands. Nothing was changed."""

    status = 409
    slug = "conflict"
    title = "What stands says otherwise"


class SettledError(ConflictError):
    """What it is about is older than what retention keeps apart."""

    slug = "past-is-settled"
    title = "The past is settled"


class AlertClosedError(ConflictError):
    """Nothing can be done about an alert as it stands."""

    slug = "alert-closed"
    title = "The alert asks for nobody"


class ErasedError(ApiError):
    """Name and ID number of this resident were erased on request."""

    status = 409
    slug = "personal-data-erased"
    title = "Personal data were erased"


class NotAcceptableError(ApiError):
    """The client would not take what is answered here."""

    status = 406
    slug = "not-acceptable"
    title = "This form of answer is not given"


class UnsupportedContentError(ApiError):
    """The body is of a type that is not taken here."""

    status = 415
    slug = "unsupported-media-type"
    title = "This kind of body is not taken"


class NoKeyError(ApiError):
    """Names cannot be sealed or opened: the deployment's key file is missing or lacks a key."""

    status = 503
    slug = "no-key"
    title = "There is no key for names"


class TooManyRequestsError(ApiError):
    """Asked too often. Nothing was done."""

    status = 429
    slug = "too-many-requests"
    title = "Too many requests"


class TooLargeError(ApiError):
    """The body is longer than this address takes."""

    status = 413
    slug = "too-large"
    title = "The body is too large"


class AddressTooLongError(ApiError):
    """The address with its query is too long."""

    status = 414
    slug = "address-too-long"
    title = "The address is too long"


class UnavailableError(ApiError):
    """The database did not answer in time. Trying again later is safe.

    What reads has changed nothing, and what writes gives the same answer a second time.
    """

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
