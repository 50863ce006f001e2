"""``/v1/webhooks``: subscriptions of whoever asks; nobody sees those of others.

PUT    /v1/webhooks/{id}           the whole of it; the answer that makes it shows its secret, once
POST   /v1/webhooks/{id}/secrets   a new secret; the one before still signs for a day
POST   /v1/webhooks/{id}/replay    go on from a number of the feed

It must never show a secret again, nor let a subscription tell more than its owner may read: what
the owner's credential reaches is written down with it, and asked again before each delivery.
"""

from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Path, Query, Response
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from pydantic import TypeAdapter

from api.auth.guard import require
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.cursors import Cursor, Name, PageQuery
from api.errors import NotFoundError, RefusedContentError
from api.feed import read_ends, require_kept
from api.registry.examples import as_response
from api.services import Running, Services
from api.webhooks import examples, queries
from api.webhooks.addresses import find_mistake, read_networks
from api.webhooks.owners import write_reach
from api.webhooks.schemas import (
    ReplayIn,
    SecretIn,
    WebhookIn,
    WebhookOut,
    WebhookPage,
)
from api.webhooks.signing import make_secret, write_secret
from ingest.db.webhook_secrets import seal

router = APIRouter()
Id = Annotated[Name, Path(description="As you call it")]
Owner = Annotated[Principal, require(Permission.WEBHOOKS_WRITE, Permission.EVENTS_READ)]
SECRETS_MAX: Final = 5  # All of them sign until they end.
_CURSOR: Final[Cursor[str]] = Cursor("webhooks", TypeAdapter(Name))
_ONE: Final = as_response(examples.ANSWER, "As it stands")
_MADE: Final = {**as_response(examples.MADE, "There was none before"), "model": WebhookOut}
_NO_STORE: Final = {"Cache-Control": "no-store"}


def _example(value: Any) -> Any:  # noqa: ANN401 - JSON
    return Body(openapi_examples={"whole": {"value": value}})


@router.put(
    "/{id}", operation_id="put_webhook", summary="Subscribe", responses={200: _ONE, 201: _MADE}
)
async def put_webhook(
    running: Running,
    principal: Owner,
    id: Id,  # noqa: A002 - its name in the address
    content: Annotated[WebhookIn, _example(examples.BODY)],
    response: Response,
) -> WebhookOut:
    """Write the whole of it. The same again changes nothing.

    A new one begins at the present end of the feed. `201` shows the secret, and no other answer
    does: if that one is lost, ask for another secret. Another address, or `enabled` again, begins
    at once with what waits.
    """
    _require_address(running, content.url)
    at = running.clock()
    secret: bytes | None = None
    async with running.database.writing(principal, at=at) as connection:
        number = await queries.save(
            connection,
            id,
            content,
            owner=principal.subject,
            reach=write_reach(principal),
            at=at,
        )
        if number is not None:
            await _require_room(running, connection)
            secret = make_secret()
            await _put_in_force(running, connection, number, (queries.FIRST_SECRET, secret), at)
        row = await _fetch(connection, id, at)
    if secret is not None:
        response.status_code = 201
        response.headers.update(_NO_STORE)
    return _answer(row, secret)


@router.get("/{id}", operation_id="get_webhook", summary="How it stands", responses={200: _ONE})
async def get_webhook(
    running: Running,
    principal: Owner,
    id: Id,  # noqa: A002 - its name in the address
) -> WebhookOut:
    """The subscription, how far it has come, and what is wrong if something is."""
    async with running.database.reading(principal) as connection:
        return _answer(await _fetch(connection, id, running.clock()))


@router.get(
    "",
    operation_id="list_webhooks",
    summary="List subscriptions",
    responses={200: as_response(examples.PAGE, "One page")},
)
async def list_webhooks(
    running: Running, principal: Owner, query: Annotated[PageQuery, Query()]
) -> WebhookPage:
    """Your subscriptions in order of id; pass `next_cursor` back as `cursor`."""
    after_id = _CURSOR.read(query.cursor)
    async with running.database.reading(principal) as connection:
        rows = await queries.list_by_id(
            connection, after_id=after_id, rows=query.limit + 1, at=running.clock()
        )
    items = [_answer(row) for row in rows[: query.limit]]
    more = len(rows) > query.limit
    return WebhookPage(items=items, next_cursor=_CURSOR.write(items[-1].id) if more else None)


@router.delete(
    "/{id}",
    operation_id="delete_webhook",
    summary="Unsubscribe",
    status_code=204,
    responses={204: {"description": "It is not there any more"}},
)
async def delete_webhook(
    running: Running,
    principal: Owner,
    id: Id,  # noqa: A002 - its name in the address
) -> None:
    """Take it away with its secrets. What is under way may still arrive; a second time is `404`."""
    async with running.database.writing(principal, at=running.clock()) as connection:
        if not await queries.delete(connection, id):
            raise _not_there()


@router.post(
    "/{id}/secrets",
    operation_id="rotate_webhook_secret",
    summary="Rotate the secret",
    responses={
        200: _ONE,
        201: {**as_response(examples.ROTATED, "A new secret, shown once"), "model": WebhookOut},
    },
)
async def rotate_secret(
    running: Running,
    principal: Owner,
    id: Id,  # noqa: A002 - its name in the address
    content: Annotated[SecretIn, _example({"id": "2026-04"})],
    response: Response,
) -> WebhookOut:
    """Make a new secret, under a name of yours. For a day both sign every request.

    Sent again under the same name it makes none, and shows none: if the answer was lost, take
    another name.
    """
    at = running.clock()
    secret: bytes | None = None
    async with running.database.writing(principal, at=at) as connection:
        number = await queries.lock(connection, id)
        if number is None:
            raise _not_there()
        known = await queries.list_secret_ids(connection, number, at=at)
        if content.id not in known:
            if len(known) >= SECRETS_MAX:
                raise RefusedContentError(
                    field="id",
                    value=content.id,
                    remedy=f"{len(known)} secrets are good still; wait until one of them has ended",
                )
            secret = make_secret()
            await _put_in_force(running, connection, number, (content.id, secret), at)
        row = await _fetch(connection, id, at)
    if secret is not None:
        response.status_code = 201
        response.headers.update(_NO_STORE)
    return _answer(row, secret)


@router.post(
    "/{id}/replay", operation_id="replay_webhook", summary="Tell again", responses={200: _ONE}
)
async def replay(
    running: Running,
    principal: Owner,
    id: Id,  # noqa: A002 - its name in the address
    content: Annotated[ReplayIn, _example({"after": 4700})],
) -> WebhookOut:
    """Go on from a number of the feed: back, to be told again, or on, to leave something out.

    Also how a parked subscription goes on: `after` as it stands. What was told before comes under
    the same `webhook-id`.
    """
    at = running.clock()
    async with running.database.writing(principal, at=at) as connection:
        floor, head = await read_ends(connection)
        require_kept(content.after, floor)
        if content.after > head:
            raise RefusedContentError(
                field="after", value=str(content.after), remedy=f"the feed ends at {head}"
            )
        await queries.replay(connection, id, after=content.after)
        return _answer(await _fetch(connection, id, at))


def _require_address(running: Services, url: str) -> None:
    allowed = read_networks(running.settings.webhooks.allowed_networks)
    mistake = find_mistake(url, allowed)
    if mistake is not None:
        raise RefusedContentError(field="url", value="", remedy=mistake)


async def _require_room(running: Services, connection: AsyncConnection[DictRow]) -> None:
    most = running.settings.webhooks.per_owner_max
    if await queries.count(connection) > most:
        raise RefusedContentError(
            field="id", value="", remedy=f"you have {most} subscriptions already; delete one"
        )


async def _put_in_force(
    running: Services,
    connection: AsyncConnection[DictRow],
    number: int,
    named: tuple[str, bytes],
    at: datetime,
) -> None:
    id_, secret = named
    keyring = running.keys.keyring() if running.settings.key_file is not None else None
    until = at + timedelta(hours=running.settings.webhooks.secret_overlap_h)
    sealed = seal(keyring, number, secret)
    await queries.add_secret(connection, number, id_, sealed, at=at, until=until)


async def _fetch(connection: AsyncConnection[DictRow], id_: str, at: datetime) -> DictRow:
    row = await queries.fetch(connection, id_, at=at)
    if row is None:
        raise _not_there()
    return row


def _not_there() -> NotFoundError:
    return NotFoundError("no such subscription; PUT it first, or look at the list")


def _answer(row: DictRow, secret: bytes | None = None) -> WebhookOut:
    shown = None if secret is None else write_secret(secret)
    return WebhookOut.model_validate({**row, "secret": shown})
