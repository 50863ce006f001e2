"""What the page changes: a token for a new gateway, and a gateway that is trusted no more.

The same functions of the database as ``suifang pki token`` and ``revoke``; triggers note who did
it. A token is shown once, in the answer to the form, and is in no address and no log.
"""

import re
from datetime import timedelta

from api.auth.principal import Principal
from api.auth.session import become_operations
from api.console.operations.fields import FieldError, check_reason
from api.enrolment.authority import Authority, Revoked, to_pem
from api.enrolment.tokens import Token
from api.errors import NoAuthorityError, NotFoundError, RefusedContentError
from api.registry.writing import as_tuples
from api.services import Services
from gateway.wire.enrolment import is_gateway_name
from gateway.wire.topics import NAME_PATTERN
from ingest.db import enrolments
from ingest.db.enrolments import TokenRow


async def give_token(running: Services, principal: Principal, gateway: str, centre: str) -> str:
    """A one-time token for a gateway; an unused one of its own counts no more.

    Raises:
        FieldError: It may not be called so, or there is no such centre, or it is of another one.
    """
    if not is_gateway_name(gateway):
        raise FieldError(field="gateway", word="gateway_name")
    if not re.fullmatch(NAME_PATTERN, centre, re.ASCII):
        raise FieldError(field="centre", word="centre_needed")
    at, made = running.clock(), Token.make()
    row = TokenRow(
        id=made.id,
        secret_hash=made.secret_hash,
        gateway_id=gateway,
        centre_id=centre,
        issued_at=at,
        expires_at=at + timedelta(hours=running.settings.operations.token_hours),
    )
    try:
        async with running.database.writing(principal, at=at) as connection:
            await become_operations(connection)
            with as_tuples(connection) as tuples:
                await enrolments.save_tokens(tuples, [row])
    except RefusedContentError as error:
        raise FieldError(field="centre", word="centre_other") from error
    return str(made)


async def revoke(running: Services, principal: Principal, gateway: str, because: str) -> None:
    """Take nothing of a gateway any more: ingest hears of it at once.

    Raises:
        FieldError: It was not said why.
        NotFoundError: There is no such gateway.
    """
    why, at = check_reason(because), running.clock()
    async with running.database.writing(principal, at=at) as connection:
        await become_operations(connection)
        with as_tuples(connection) as tuples:
            found = await enrolments.revoke(tuples, gateway, because=why, at=at)
    if found is None:
        msg = "no such gateway; look at the list"
        raise NotFoundError(msg)


async def sign_revocations(running: Services, principal: Principal) -> str:
    """The revocation list for the broker, as ``suifang pki crl`` writes it.

    Raises:
        NoAuthorityError: This process was not given the authority.
    """
    authority: Authority | None = running.authority
    if authority is None:
        raise NoAuthorityError
    at = running.clock()
    async with running.database.reading(principal) as connection:
        await become_operations(connection)
        with as_tuples(connection) as tuples:
            found = await enrolments.list_revoked(tuples, at=at)
    revoked = [Revoked(serial, when) for serial, when in found]
    return to_pem(authority.sign_crl(revoked, number=int(at.timestamp()), at=at))
