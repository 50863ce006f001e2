"""The demo's gateways get their certificates as boxes do: a token each, over the API."""

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Final

from api.enrolment.tokens import Token
from gateway.enrolment.folder import IdentityFolder
from gateway.enrolment.steps import enrol
from gateway.wire.times import Clock
from ingest.db import enrolments
from ingest.db.connections import connect
from ingest.db.enrolments import TokenRow
from simulators.sites import Site

_TOKEN_LIFE: Final = timedelta(hours=1)


def identity_of(folder: Path, site: Site) -> Path:
    """Where a site's identity is kept."""
    return folder / f"{site.gateway_id}.identity"


async def enrol_sites(
    dsn: str, api: str, sites: Iterable[Site], folder: Path, clock: Clock
) -> None:
    """Enrol every gateway. Raises ``EnrolmentError``, ``DatabaseError``."""
    async with await connect(dsn, application_name="demo-enrol", autocommit=True) as connection:
        for site in sites:
            token, at = Token.make(), clock()
            row = TokenRow(
                id=token.id,
                secret_hash=token.secret_hash,
                gateway_id=site.gateway_id,
                centre_id=site.centre_id,
                issued_at=at,
                expires_at=at + _TOKEN_LIFE,
            )
            await enrolments.save_tokens(connection, [row])
            place = IdentityFolder(identity_of(folder, site))
            await asyncio.to_thread(enrol, place, api, str(token), api_authority=None)
