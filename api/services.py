"""What every route needs of the running process, found on the application's state."""

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from api.audit.log import AuditLog
from api.auth.authenticator import Authenticator
from api.database import Database
from api.enrolment.authority import Authority
from api.feed import Feed
from api.indicators.desk import Desk
from api.limits import Limiter
from api.metrics import ApiMetrics
from api.operations.child import Child
from api.registry.key_files import KeyFiles
from api.settings import ApiSettings
from gateway.wire.times import Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Made once by ``create_app``; shared by all requests."""

    settings: ApiSettings
    clock: Clock
    authenticator: Authenticator
    audit: AuditLog
    database: Database
    limiter: Limiter
    metrics: ApiMetrics
    feed: Feed
    figures: Desk
    keys: KeyFiles
    backtests: Child
    rehearsals: Child
    authority: Authority | None = None  # Signs gateways' certificates.


async def find_services(request: Request) -> Services:
    """The services of the application that this request came to."""
    return cast("Services", request.app.state.services)


Running = Annotated[Services, Depends(find_services)]
