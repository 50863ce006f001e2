"""``/console/operations``: what the readiness check finds. Names no resident."""

from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.console.pages import Shown
from api.errors import NotReadyError
from api.health import Ready, readyz
from api.services import Running

router = APIRouter()


@router.get("/operations")
async def show_operations(
    request: Request,
    running: Running,
    pages: Shown,
    principal: Annotated[Principal, require(Permission.OPERATIONS_READ)],
) -> Response:
    """Database, schema, feed and dispatcher."""
    ready: Ready | None = None
    failed: dict[str, str] = {}
    try:
        ready = await readyz(running)
    except NotReadyError as error:
        failed = error.checks
    return pages.render(request, "operations.html", principal=principal, ready=ready, failed=failed)
