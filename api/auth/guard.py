"""What a route asks for: ``Authenticated``, or a principal that holds a permission.

    principal: Annotated[Principal, require(Permission.CASES_READ)]

Decided once for all routes: no usable credential is 401; a credential that may not do *this* is
403; a thing that exists but may not be seen is 404, the same as one that does not exist.
"""

from typing import Annotated, Any

from fastapi import Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.errors import ForbiddenError, UnauthenticatedError
from api.front_door import address_of
from api.services import Services


class Guard(SecurityBase):
    """One dependency for all of it: there were four, and each cost a request some 20 µs.

    The document learns the scheme from what a security dependency says of itself.
    """

    scheme_name = "bearer"
    model = HTTPBearer(description="A token of the OIDC issuer, or an API key (`sfk_…`)")

    def __init__(self, permissions: tuple[Permission, ...] = ()) -> None:
        self._permissions = permissions

    async def __call__(self, request: Request) -> Principal:
        """Who asks, if it holds every permission. Raises 401, 403, or 429."""
        running: Services = request.app.state.services
        header = request.headers.get("authorization")
        principal = running.authenticator.recall(header)
        if principal is None:
            principal = await _introduce(running, address_of(request.scope), header)
        running.limiter.take_for(principal)
        request.state.principal = principal
        lacking = [name for name in self._permissions if not principal.may(name)]
        if lacking:
            msg = f"this needs {', '.join(lacking)}; ask for a role or a key that has it"
            raise ForbiddenError(msg)
        return principal


async def _introduce(running: Services, address: str, header: str | None) -> Principal:
    """Who sends a credential that is not remembered. Whoever sends none has guessed nothing."""
    if header is None:
        return await running.authenticator.authenticate(None)
    running.limiter.require_trust(address, header)
    try:
        return await running.authenticator.authenticate(header)
    except UnauthenticatedError:
        running.limiter.note_failure(address, header)
        raise


Authenticated = Annotated[Principal, Security(Guard())]


def require(*permissions: Permission) -> Any:  # noqa: ANN401 - a marker of FastAPI
    """Ask for a principal that holds all of these; put it into ``Annotated[Principal, …]``."""
    return Security(Guard(permissions), scopes=[str(permission) for permission in permissions])


def known_principal(request: HTTPConnection) -> Principal | None:
    """Who asked, once a route has found out; for logs, limits and the audit log."""
    found = getattr(request.state, "principal", None)
    return found if isinstance(found, Principal) else None
