"""What a route asks for: ``Authenticated``, or a principal that holds a permission.

    principal: Annotated[Principal, require(Permission.CASES_READ)]

Decided once for all routes: no usable credential is 401; a credential that may not do *this* is
403; a thing that exists but may not be seen is 404, the same as one that does not exist.
"""

from typing import Annotated, Any, Final

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from starlette.requests import HTTPConnection

from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.errors import ForbiddenError, UnauthenticatedError
from api.front_door import address_of
from api.services import Running

SCHEME: Final = HTTPBearer(
    auto_error=False,
    scheme_name="bearer",
    description="A token of the OIDC issuer, or an API key (`sfk_…`)",
)


async def authenticate(
    request: Request,
    running: Running,
    _: Annotated[HTTPAuthorizationCredentials | None, Security(SCHEME)],  # For the document only.
) -> Principal:
    """Who asks. Raises ``UnauthenticatedError`` (401) or ``TooManyRequestsError`` (429)."""
    address = address_of(request.scope)
    header = request.headers.get("authorization")
    running.limiter.require_trust(address)
    try:
        principal = await running.authenticator.authenticate(header)
    except UnauthenticatedError:
        running.limiter.note_failure(address)
        raise
    running.limiter.take_for(principal)
    request.state.principal = principal
    return principal


Authenticated = Annotated[Principal, Depends(authenticate)]


async def _authorize(needed: SecurityScopes, principal: Authenticated) -> Principal:
    """The principal, if it holds every permission that the route names. Raises 401 or 403."""
    lacking = [name for name in needed.scopes if not principal.may(Permission(name))]
    if lacking:
        msg = f"this needs {', '.join(lacking)}; ask for a role or a key that has it"
        raise ForbiddenError(msg)
    return principal


def require(*permissions: Permission) -> Any:  # noqa: ANN401 - a marker of FastAPI
    """Ask for a principal that holds all of these; put it into ``Annotated[Principal, …]``."""
    return Security(_authorize, scopes=[str(permission) for permission in permissions])


def known_principal(request: HTTPConnection) -> Principal | None:
    """Who asked, once a route has found out; for logs, limits and the audit log."""
    found = getattr(request.state, "principal", None)
    return found if isinstance(found, Principal) else None
