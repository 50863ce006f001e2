"""Quarantined items once more, by the normal path: after the cause is gone.

The same decoder, the same writer, the same emergencies and due marks as for what a gateway
sends; no value is changed on the way. Each portion is one transaction, in this order:

    claim      lock the open items; what another replay holds is left to it
    unsettle   their ids lose the quarantine as disposition, seen by nobody outside
    store      ``Writer.store``: stored, duplicate, or refused again, which settles the id anew
    resolve    what was not refused is ``replayed``; its row stays and settles nothing

so the conservation law holds at every instant, whatever is killed, and a second replay finds
nothing to do. The totals of ``gateway_day`` move on the day of the replay: a day's line counts
what happened on it, and past days are not rewritten.

Times: what rules reckon with, ``arrived_at`` and ``effective_at``, is worked out from the first
arrival, so the quarantine changes no case. ``received_at`` is the replay's clock, for only now
is the reading known: an emergency of more than a day ago is ``late``, goes to the feed and pages
nobody; a fresh one pages. One that was raised already (a sequence conflict raises its own) has
its alert's id, and is not raised twice. The quarantine's row keeps the first ``received_at``.

No receipt is sent: a gateway that still holds such a reading sends it again and gets its own.
A whole message that could not be split is a portion by itself; its readings take their own ways.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from gateway.wire.batches import build_batch
from gateway.wire.errors import Reason, WireError
from gateway.wire.times import Clock
from ingest.db import gateway_days, quarantine, quarantine_items, residents
from ingest.db.connections import Connection
from ingest.db.errors import translated
from ingest.db.gateway_days import Totals
from ingest.db.quarantine import Item, QuarantineRow, Refusal
from ingest.db.quarantine_items import fetch_dispositions
from ingest.decoder import decode
from ingest.deliveries import Accepted, Decoded, Delivery
from ingest.emergencies import EmergencyRaiser
from ingest.outcomes import Outcome, Replayed
from ingest.pipeline import refuse
from ingest.writer import Writer
from rules.limits import ProfileTable

_OF_STRANGERS: Final = (Reason.UNKNOWN_GATEWAY, Reason.WRONG_TOPIC)


class Replayer:
    """Replays portions of items, each in one transaction."""

    def __init__(self, limits: ProfileTable, clock: Clock) -> None:
        self._raise_emergencies = EmergencyRaiser(limits)
        self._clock = clock

    async def replay(
        self,
        connection: Connection,
        numbers: Sequence[int],
        *,
        dropped: bool = False,
        dry_run: bool = False,
    ) -> list[Replayed]:
        """Replay one portion: readings, or one whole message.

        Args:
            connection: Prepared (``readings.prepare``), outside a transaction.
            numbers: Of the items.
            dropped: Also those that somebody dropped.
            dry_run: Take everything back.

        Raises:
            DatabaseUnavailableError: Nothing of the portion has changed, or all of it has: the
                next replay finds out.
        """
        at = self._clock()
        with translated():
            async with connection.transaction(force_rollback=dry_run):
                items = await quarantine.claim(connection, numbers, dropped=dropped)
                done = await self._replay_claimed(connection, items, at)
        skipped = sorted(set(numbers) - {one.number for one in done})
        return [*done, *(Replayed(number, Outcome.SKIPPED) for number in skipped)]

    async def _replay_claimed(
        self, connection: Connection, items: Sequence[Item], at: datetime
    ) -> list[Replayed]:
        done = await _without_asking_again(connection, items)
        answered = {one.number for one in done}
        gateways = await residents.list_gateways(connection)
        asked: dict[int, tuple[Item, Decoded]] = {}
        for item in items:
            if item.number in answered:
                continue
            try:
                asked[item.number] = (item, _decode(item, gateways, at))
            except WireError as error:
                done.append(_refused(item.number, error.reason, error.field, error.detail))
        await _unsettle(connection, [item for item, _ in asked.values()], at)
        refusals: dict[bytes, QuarantineRow] = {
            row.item_hash: row for _, decoded in asked.values() for row in decoded.refused
        }

        def refuse_and_note(
            decoded: Decoded, accepted: Accepted, error: WireError, at: datetime
        ) -> QuarantineRow:
            row = refuse(decoded, accepted, error, at)
            refusals[row.item_hash] = row
            return row

        if asked:
            writer = Writer(self._raise_emergencies, refuse_and_note)
            await writer.store(connection, [decoded for _, decoded in asked.values()], at=at)
        done += await _look_at_outcomes(connection, list(asked.values()), refusals)
        await _record(connection, items, done, at)
        return done


async def _without_asking_again(connection: Connection, items: Sequence[Item]) -> list[Replayed]:
    """Items that settle nothing, whose ids have a disposition: it stays, whatever it is.

    They must not overtake the item that settles the id while that one is on its way.
    """
    beside = {
        item.number: item.reading_id
        for item in items
        if item.reading_id is not None and not item.settles
    }
    known = await fetch_dispositions(connection, list(beside.values()))
    done = []
    for item in items:
        before = known.get(beside[item.number]) if item.number in beside else None
        if before is None:
            continue
        if before.content_hash != item.content_hash:
            detail = (
                f"id {item.reading_id} is already {before.disposition} with other content, which"
                " stays; drop this item once it is understood"
            )
            done.append(_refused(item.number, Reason.ID_CONFLICT, "id", detail))
        elif before.disposition == "quarantined":
            detail = "the same bytes settle their id under another number; replay that one"
            done.append(_refused(item.number, item.reason, item.field, detail))
        else:
            done.append(Replayed(item.number, Outcome.KNOWN))
    return done


def _decode(item: Item, gateways: dict[str, str], at: datetime) -> Decoded:
    """The item's bytes through the decoder as on their first arrival, known since ``at``.

    Raises:
        WireError: They are not what the decoder was given then, or it refuses them again and
            their id is settled by that.
    """
    if len(item.payload) != item.payload_bytes:
        detail = f"only {len(item.payload)} of {item.payload_bytes} bytes were kept"
        raise WireError(Reason.INVALID_ENVELOPE, detail)
    payload = item.payload
    if item.batch_id is not None:  # One reading: the message around it is made again.
        try:
            payload = build_batch(item.batch_id, item.received_at, [item.payload])
        except ValueError as error:
            raise WireError(Reason.INVALID_ENVELOPE, str(error)) from error
    delivery = Delivery(item.topic, payload, packet_id=0, connection=0, redelivered=True)
    decoded = decode(delivery, gateways, received_at=item.received_at)
    if item.batch_id is not None:
        _require_itself(item, decoded)
    if item.settles and decoded.refused:  # Its id keeps the disposition that it has.
        (row,) = decoded.refused
        raise WireError(Reason(row.reason), row.detail, field=row.field)
    accepted = (replace(each, row=each.row._replace(received_at=at)) for each in decoded.accepted)
    return replace(decoded, accepted=tuple(accepted))


def _require_itself(item: Item, decoded: Decoded) -> None:
    """What comes out must be this one item, or an id would lose its disposition."""
    ids = [accepted.row.id for accepted in decoded.accepted]
    found = [accepted.raw for accepted in decoded.accepted]
    found += [row.payload for row in decoded.refused if row.item_hash == item.item_hash]
    if len(decoded.accepted) + len(decoded.refused) != 1 or found != [item.payload]:
        raise WireError(Reason.INVALID_ENVELOPE, "the bytes are no single reading")
    if item.reading_id is not None and ids not in ([], [item.reading_id]):
        raise WireError(Reason.INVALID_ID, f"read as {ids[0]}, filed as {item.reading_id}")


async def _unsettle(connection: Connection, items: Sequence[Item], at: datetime) -> None:
    """Take the quarantine away as the disposition of these items' ids, and from the totals."""
    settling = [item for item in items if item.settles]
    totals: dict[str, Totals] = {}
    for item in settling:
        of_gateway = totals.setdefault(item.gateway_id or "", Totals())
        of_gateway.quarantined -= 1
        of_gateway.unsettling += 1
    await quarantine.unsettle(connection, [item.number for item in settling])
    await gateway_days.add(connection, at.date(), dict(sorted(totals.items())))


async def _look_at_outcomes(
    connection: Connection,
    asked: Sequence[tuple[Item, Decoded]],
    refusals: dict[bytes, QuarantineRow],
) -> list[Replayed]:
    """What the writer made of them, as the database has it now."""
    settling = await quarantine_items.list_settling(connection, [item.number for item, _ in asked])
    known = await fetch_dispositions(connection, [id_ for each in asked if (id_ := _id(*each))])
    done = []
    for item, decoded in asked:
        again = refusals.get(item.item_hash)
        now = known.get(_id(item, decoded) or UUID(int=0))
        if item.settles and now is None and item.number not in settling:
            msg = f"quarantined item {item.number} would leave its id without a disposition"
            raise RuntimeError(msg)
        if item.batch_id is None and again is None:
            done.append(Replayed(item.number, Outcome.SPLIT))
        elif item.number in settling or now is None or now.disposition == "quarantined":
            done.append(
                _refused(item.number, item.reason, item.field, item.detail)
                if again is None
                else _refused(item.number, again.reason, again.field, again.detail)
            )
        elif now.content_hash != item.content_hash and again is not None:
            done.append(_refused(item.number, again.reason, again.field, again.detail))
        else:
            done.append(Replayed(item.number, Outcome(now.disposition)))
    return done


def _id(item: Item, decoded: Decoded) -> UUID | None:
    """The id of the one reading; None for a whole message, or when it cannot be read."""
    if item.batch_id is None:
        return None
    return decoded.accepted[0].row.id if decoded.accepted else item.reading_id


def _refused(number: int, reason: str, field: str, detail: str) -> Replayed:
    return Replayed(number, Outcome.REFUSED, str(reason), field, detail)


async def _record(
    connection: Connection, items: Sequence[Item], done: Sequence[Replayed], at: datetime
) -> None:
    """Write down what became of each; the reason of today, where it says more than the filed one.

    An item that settles its id was sent by an enrolled gateway: that the gateway has moved since
    is no reason for what is in quarantine. What came too late once may have been here before,
    and ``reconcile`` knows it by that reason.
    """
    filed = {item.number: item for item in items}
    notes = []
    for one in done:
        item = filed[one.number]
        if one.outcome is not Outcome.REFUSED:
            continue
        keeps = item.settles and one.reason in _OF_STRANGERS
        if keeps or item.reason == Reason.BEFORE_RETENTION:
            notes.append(Refusal(item.number, item.reason, item.field, item.detail))
        else:
            notes.append(Refusal(one.number, one.reason, one.field, one.detail))
    resolved = [one.number for one in done if one.outcome is not Outcome.REFUSED]
    await quarantine.note_refused(connection, notes, at=at)
    await quarantine.resolve(connection, resolved, at=at)
