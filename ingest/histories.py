"""All that is known of some residents, as the rules take it. Reads only.

The judge, a re-judge and a back-test load the same way, so that they cannot disagree.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from uuid import UUID

import numpy as np

from ingest.columns import Period, to_amendments, to_periods, to_pregnancies, to_residents
from ingest.db import amendments, checkpoints, contracts, history, merges, residents
from ingest.db.amendments import Said
from ingest.db.connections import Connection
from ingest.db.contracts import Chosen
from ingest.db.merges import Kin
from ingest.db.residents import NOBODY, Person
from ingest.pasts import Pasts, is_let_go, read_pasts, read_profiles, take_turns
from ingest.profiles import Choices, Profiles
from rules.columns import IdArray, Periods, Records, Residents
from rules.limits import ProfileTable
from rules.reported import Amendments, Reported
from rules.runs import stack_tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What ``rules`` needs to judge these residents, and what the outcome needs of them.

    Where retention was at work, what is folded already is in ``pasts``, and the rest here.
    """

    ids: tuple[str, ...]  # Pseudonyms, row-aligned with ``residents``.
    people: Mapping[str, Person]  # Unknown pseudonyms are absent.
    residents: Residents
    reported: Reported  # Readings that are theirs now.
    amendments: Amendments  # Of ``reported``.
    records: Records
    limits: ProfileTable
    seen: IdArray  # Every reading looked at, also those that turned out to be somebody else's.
    claimed: tuple[UUID, ...]  # Of ``reported``: theirs because somebody said so.
    pasts: Pasts | None  # None: nobody's past is folded.
    held: IdArray  # Readings that retention holds back.
    kin: Kin = field(default_factory=Kin)  # Who of them is or was merged with whom.


async def load_histories(connection: Connection, ids: Sequence[str], profiles: Profiles) -> Loaded:
    """Load everything about these residents, or their checkpoints and what follows.

    Args:
        connection: In a transaction that holds their fold rows, or that only reads.
        ids: Pseudonyms, each once.
        profiles: The deployment's.

    Raises:
        ProfileError: A centre, a package or a checkpoint names a profile that is not there.
        UnreadableCheckpointError: A checkpoint is damaged, or of another program.
    """
    folded = await checkpoints.fetch(connection, ids)
    kin = await merges.fetch_kin(connection, ids)
    names = [*ids, *sorted(kin.into.keys() - {*ids})]  # Whose history is read, to whomever it goes.
    people = await residents.fetch_people(connection, names)
    pregnancies = await residents.fetch_pregnancies(connection, names)
    chosen = await contracts.fetch_profiles(connection, [i for i in ids if i not in kin.into])
    claimed = await amendments.fetch_claimed(connection, names)
    in_chunks = await history.fetch_reported(connection, names, claimed)
    held = await history.fetch_reported(connection, names, claimed, table="reading_held")
    reported = stack_tables([in_chunks, held]) if len(held) else in_chunks
    said = await amendments.fetch_said(
        connection, names, claimed, table="stored_reading" if len(held) else "reading"
    )
    records = await history.fetch_records(connection, names)
    rows = {id_: row for row, id_ in enumerate(ids)}
    owners = {id_: rows.get(kin.into.get(id_, id_), -1) for id_ in (*names, *kin.into)}
    if kin.into:
        reported, records = await _join_merged(
            connection, names, reported, records, owners=owners, kin=kin
        )
    persons = _join_people(ids, people, kin)
    wanted = {each.profile for each in chosen} | read_profiles(folded.values())
    wanted |= {each.centre_profile for each in persons if each.centre_profile is not None}
    limits, choices = profiles.choose(wanted)
    pasts = read_pasts(ids, folded, limits)
    theirs, places = _give_to_owners(reported, said, owners)
    if pasts is not None:
        gone = is_let_go(pasts, theirs.resident, theirs.ids, held.ids)
        theirs = theirs.take(np.flatnonzero(~gone))
        places = _places(theirs) if said else places
        records = take_turns(records, pasts)
    return Loaded(
        ids=tuple(ids),
        people=people,
        residents=to_residents(
            persons,
            to_pregnancies([p for p in pregnancies if owners[p.resident_id] >= 0], owners),
            _choose_profiles(rows, dict(zip(ids, persons, strict=True)), chosen, choices),
        ),
        reported=theirs,
        amendments=to_amendments(said, places, theirs),
        records=records,
        limits=limits,
        seen=reported.ids,
        claimed=tuple(id_ for id_ in claimed if id_.bytes in places),
        pasts=pasts,
        held=held.ids,
        kin=kin,
    )


async def _join_merged(
    connection: Connection,
    names: Sequence[str],
    reported: Reported,
    records: Records,
    *,
    owners: Mapping[str, int],
    kin: Kin,
) -> tuple[Reported, Records]:
    """Readings and records of merged ones as their survivor's; nobody's here are dropped later.

    What followed from contracts of a merged one is left out: the survivor's contracts count.
    """
    row_of = np.array([owners[name] for name in names] + [-1])  # The last one: of nobody here.
    reported = replace(reported, resident=row_of[reported.resident])
    turns = await merges.fetch_turns(connection, kin.into)
    ids = records.ids.view("V16").tolist()
    owner = row_of[records.resident]
    keep = [row for row, id_ in enumerate(ids) if owner[row] >= 0 and id_ not in turns]
    return reported, replace(records, resident=owner).take(np.array(keep, dtype=np.intp))


def _join_people(ids: Sequence[str], people: Mapping[str, Person], kin: Kin) -> list[Person]:
    """Who is judged, row by row: a merged one is nobody.

    Its diagnoses and its enrolment are the survivor's, too: of each the earliest day counts, as in
    figures. Team and birth date are the survivor's alone.
    """
    found = [NOBODY if id_ in kin.into else people.get(id_, NOBODY) for id_ in ids]
    rows = {id_: row for row, id_ in enumerate(ids)}
    for gone, survivor in kin.into.items():
        if gone in people and survivor in rows:
            other, row = people[gone], rows[survivor]
            found[row] = replace(
                found[row],
                hypertension_since=_earlier(
                    found[row].hypertension_since, other.hypertension_since
                ),
                diabetes_since=_earlier(found[row].diabetes_since, other.diabetes_since),
                enrolled_on=_earlier(found[row].enrolled_on, other.enrolled_on),
            )
    return found


def _earlier(one: date | None, other: date | None) -> date | None:
    return min((day for day in (one, other) if day is not None), default=None)


def _give_to_owners(
    reported: Reported, said: Sequence[Said], owners: Mapping[str, int]
) -> tuple[Reported, dict[bytes, int]]:
    """Each reading to whom it was last said to belong; those of nobody here are left out.

    Returns:
        What is left, and where each of it stands, if anything was said at all.
    """
    moves = [each for each in said if "resident_id" in each.changes]
    owner = reported.resident
    if moves:
        owner = owner.copy()
        places = _places(reported)
        for each in sorted(moves, key=lambda move: (move.received_at, move.id)):
            row = places.get(each.reading_id.bytes)
            if row is not None:
                owner[row] = owners.get(each.changes["resident_id"], -1)
    if (owner < 0).any():  # Moved away, or claimed once and given back.
        reported = replace(reported, resident=owner).take(np.flatnonzero(owner >= 0))
    elif moves:
        reported = replace(reported, resident=owner)
    return reported, _places(reported) if said else {}


def _places(reported: Reported) -> dict[bytes, int]:
    """Row of each id. As void: a column of bytes drops trailing zeros."""
    return {id_: row for row, id_ in enumerate(reported.ids.view("V16").tolist())}


def _choose_profiles(
    rows: Mapping[str, int],
    people: Mapping[str, Person],
    chosen: Sequence[Chosen],
    choices: Choices,
) -> Periods:
    """The centre's profile always, and over it that of each contract while it runs."""
    if len(choices) == 1:
        return Periods.none()
    periods: list[Period] = [
        (id_, date.min, None, choices[person.centre_profile])
        for id_, person in people.items()
        if person.centre_profile is not None
    ]
    periods += [(row.resident_id, row.since, row.until, choices[row.profile]) for row in chosen]
    return to_periods(periods, rows)
