"""``POST /v1/gateway-enrolments`` and ``POST /v1/gateway-renewals``: the two that write.

Who asks is proved by a token or a signature, so these two, and no other route, may be reached from
outside through a reverse proxy (docs/enrolment.md).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import APIRouter, Response, status

from api.enrolment import examples
from api.enrolment.issuing import Issuer
from api.enrolment.schemas import CertificateOut, EnrolmentOrder, RenewalOrder
from api.errors import NoAuthorityError
from api.registry.examples import as_response
from api.services import Running, Services
from gateway.wire.enrolment import ENROLMENTS_PATH, RENEWALS_PATH

router = APIRouter()
_GIVEN: Final = as_response(examples.CERTIFICATE, "The certificate")


@router.post(ENROLMENTS_PATH, status_code=status.HTTP_201_CREATED, responses={201: _GIVEN})
async def enrol_gateway(
    running: Running, order: EnrolmentOrder, response: Response
) -> CertificateOut:
    """A gateway's first certificate, for a one-time token.

    The same token with the same key gives the same certificate again.
    """
    async with _issuing(running) as issuer:
        given = await issuer.enrol(order)
    response.headers["Cache-Control"] = "no-store"
    return given


@router.post(RENEWALS_PATH, status_code=status.HTTP_201_CREATED, responses={201: _GIVEN})
async def renew_certificate(
    running: Running, order: RenewalOrder, response: Response
) -> CertificateOut:
    """A gateway's next certificate, for a signature by the key of the present one."""
    async with _issuing(running) as issuer:
        given = await issuer.renew(order)
    response.headers["Cache-Control"] = "no-store"
    return given


@asynccontextmanager
async def _issuing(running: Services) -> AsyncIterator[Issuer]:
    """What gives certificates, in one transaction."""
    if running.authority is None:
        raise NoAuthorityError
    at, days = running.clock(), running.settings.certificate_days
    async with running.database.writing_as_process() as connection:
        yield Issuer(running.authority, connection, at=at, days=days)
