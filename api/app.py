"""The HTTP application: routes, errors and what lives as long as the process.

Every route asks for a permission (``auth/guard.py``), but for the root, the two health checks, the
document, what ``/fhir`` can do, the console's sign-in page, and enrolment, where a one-time token
or a signature proves who asks. Nothing it serves loads from another host.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final, Protocol

from fastapi import APIRouter, FastAPI
from fastapi.telemetry import TelemetryConfig
from pydantic import BaseModel

from api import health
from api.alerts import attention, stream
from api.alerts import routes as alerts
from api.audit import routes as audit_routes
from api.audit.log import AuditLog
from api.auth.authenticator import Authenticator
from api.cases import routes as cases
from api.console.app import PREFIX, create_console
from api.corrections import claims
from api.database import Database
from api.direct_routes import add_routes
from api.enrolment import routes as enrolment
from api.enrolment.authority import Authority
from api.enrolment.files import load_authority
from api.events import routes as events
from api.exports import routes as exports
from api.feed import Feed
from api.fhir import create_routes
from api.fhir import routes as fhir
from api.followups import routes as followups
from api.front_door import FrontDoor, HeadAsGet
from api.indicators import closing_routes, health_checks
from api.indicators import routes as indicators
from api.indicators.desk import Desk
from api.limits import Limiter
from api.merges import routes as merges
from api.metrics import ApiMetrics, Metering
from api.notify import routes as notify
from api.operations.child import Child
from api.operations.overview import Overview
from api.operations.sampler import Sampler
from api.problems import Problem, install_problems
from api.readings import routes as readings
from api.registry import bulk_routes, personal
from api.registry import routes as registry
from api.registry.key_files import KeyFiles
from api.registry.kinds import COLLECTIONS
from api.services import Services
from api.settings import ApiSettings
from api.timeline import routes as timeline
from api.webhooks import routes as webhooks
from gateway.wire.enrolment import ENROLMENTS_PATH, RENEWALS_PATH
from gateway.wire.times import Clock

_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": Problem, "description": "The request cannot be answered"},
    "5XX": {"model": Problem, "description": "The server cannot answer"},
}
# FastAPI's own would tell whoever listens addresses, which carry pseudonyms, and is asked for by
# each request: ours is ``api.metrics``.
_NO_TELEMETRY: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False}

# Where ``alerts.stream`` is: its answer ends with whoever reads it.
_ENDLESS: Final = frozenset({"/v1/alerts/stream", f"{PREFIX}/feed/stream"})


class Root(BaseModel):
    """Where to go from here."""

    name: str = "suifang"
    version: str
    links: dict[str, str]


class _Beside(Protocol):
    """What works for as long as the process lives."""

    async def run(self) -> None:
        """Until cancelled."""


def create_app(settings: ApiSettings, clock: Clock) -> FastAPI:
    """Build the application. No connection is opened before its lifespan begins.

    Raises:
        AuthorityError: The files of the authority cannot be used.
    """
    services = _build_services(settings, clock)
    feed = services.feed
    beside: dict[str, _Beside] = {
        "feed": feed,
        "audit": services.audit,
        "figures": services.figures,
        "sampler": Sampler(settings.operations, services.database, clock),
        "backtests": services.backtests,
        "rehearsals": services.rehearsals,
    }

    if settings.metrics.port is not None:
        beside["overview"] = Overview(
            settings.operations, services.database, services.metrics, clock
        )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with services.database, asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(each.run(), name=name) for name, each in beside.items()]
            try:
                yield
            finally:
                feed.close()
                for task in running:
                    task.cancel()

    app = FastAPI(
        title="Suifang",
        version=_version(),
        description="Residents, readings, cases, alerts and follow-up of community health centres.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        responses=_PROBLEMS,
        telemetry=_NO_TELEMETRY,
    )
    app.add_middleware(
        FrontDoor,
        limits=settings.limits,
        limiter=services.limiter,
        streams=bulk_routes.STREAMS | create_routes.STREAMS,
    )
    app.add_middleware(Metering, metrics=services.metrics)
    app.add_middleware(HeadAsGet, endless=_ENDLESS)
    app.state.services = services
    install_problems(app)
    _include_routes(app)
    return app


def _build_services(settings: ApiSettings, clock: Clock) -> Services:
    database = Database(settings)
    feed = Feed(settings, database)
    return Services(
        settings=settings,
        clock=clock,
        authenticator=Authenticator(settings, database, clock),
        audit=AuditLog(settings, database, clock),
        database=database,
        feed=feed,
        figures=Desk(settings.indicators, database, clock),
        backtests=Child("ingest.backtest_process", clock),
        rehearsals=Child("simulators.rehearsal", clock),
        authority=_load_authority(settings),
        keys=KeyFiles(
            settings.key_file, settings.pseudonym_key_file, settings.pseudonym_key_files_before
        ),
        limiter=Limiter(settings.limits),
        metrics=ApiMetrics(database, feed, listeners_max=settings.feed.listeners_max),
    )


def _include_routes(app: FastAPI) -> None:
    # What is asked most comes first: each is compared with an address in turn.
    add_routes(app, _root(app.version))
    add_routes(app, health.router, tags=["health"])
    add_routes(app, cases.router, prefix="/v1/cases", tags=["cases"])
    add_routes(app, alerts.router, prefix="/v1/alerts", tags=["alerts"])
    add_routes(app, events.router, prefix="/v1/events", tags=["events"])
    for each in (readings.router, timeline.router):
        add_routes(app, each, prefix="/v1/residents", tags=["readings"])
    add_routes(app, registry.router, prefix="/v1")
    add_routes(app, stream.router, prefix="/v1/alerts", tags=["alerts"])
    add_routes(app, attention.router, prefix="/v1/alerts", tags=["alerts"])
    add_routes(app, notify.router, prefix="/v1")
    add_routes(app, enrolment.router, tags=["enrolment"])
    add_routes(app, claims.router, prefix="/v1/readings", tags=["readings"])
    add_routes(app, merges.router, prefix="/v1/residents", tags=["readings"])
    add_routes(app, followups.router, prefix="/v1/residents")
    add_routes(app, exports.router, prefix="/v1/exports", tags=["exports"])
    add_routes(app, personal.router, prefix="/v1")
    add_routes(app, bulk_routes.router, prefix="/v1")
    add_routes(app, closing_routes.router, prefix="/v1/indicators/periods", tags=["indicators"])
    add_routes(app, indicators.router, prefix="/v1/indicators", tags=["indicators"])
    add_routes(app, webhooks.router, prefix="/v1/webhooks", tags=["webhooks"])
    add_routes(app, health_checks.router, prefix="/v1/residents", tags=["indicators"])
    add_routes(app, audit_routes.router, prefix="/v1/audit", tags=["audit"])
    add_routes(app, fhir.router, prefix="/fhir")
    add_routes(app, create_routes.router, prefix="/fhir")
    app.mount(PREFIX, create_console(app.state.services))


def _load_authority(settings: ApiSettings) -> Authority | None:
    if settings.ca_file is None or settings.ca_key_file is None:
        return None
    return load_authority(settings.ca_file, settings.ca_key_file, settings.ca_beside_file)


def _root(program_version: str) -> APIRouter:
    router = APIRouter()

    @router.get("/")
    async def read_root() -> Root:
        """Links to everything there is."""
        return Root(
            version=program_version,
            links={
                "cases": "/v1/cases",
                "alerts": "/v1/alerts",
                "stream": "/v1/alerts/stream",
                "readings": "/v1/residents/{resident_id}/readings",
                "reading": "/v1/readings/{reading_id}",
                "unclaimed": "/v1/readings/unclaimed",
                "followups": "/v1/residents/{resident_id}/followups",
                "exports": "/v1/exports/followups",
                **{each.path: f"/v1/{each.path}" for each in COLLECTIONS},
                "enrolments": ENROLMENTS_PATH,
                "renewals": RENEWALS_PATH,
                "events": "/v1/events",
                "indicators": "/v1/indicators",
                "webhooks": "/v1/webhooks",
                "audit": "/v1/audit",
                "fhir": "/fhir/metadata",
                "console": f"{PREFIX}/",
                "health": "/healthz",
                "ready": "/readyz",
                "openapi": "/openapi.json",
            },
        )

    return router


def _version() -> str:
    try:
        return version("suifang")
    except PackageNotFoundError:  # Run from a checkout that is not installed.
        return "0+unknown"
