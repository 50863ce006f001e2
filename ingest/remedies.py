"""What each reason of the quarantine means, and what to do. The one table of it.

The command ``suifang quarantine`` shows it and ``docs/quarantine.md`` prints it; a test keeps
them equal, and another finds a reason without a remedy.
"""

from typing import Final, NamedTuple

from gateway.wire.errors import Reason


class Remedy(NamedTuple):
    """For a person, in whole sentences."""

    meaning: str
    remedy: str


_UPDATE: Final = "After an update of ingest that accepts it, replay."
_DROP: Final = "Once understood, drop; the resident measures again."

REMEDIES: Final[dict[Reason, Remedy]] = {
    Reason.MALFORMED_JSON: Remedy(
        "The bytes are not JSON.",
        "Find the version of the gateway's program and stop its roll-out. Replay only after an"
        " update of ingest that reads them; else drop.",
    ),
    Reason.INVALID_ENVELOPE: Remedy(
        "JSON, but no batch of readings: a field of the message is missing or wrong.",
        f"Find the version of the gateway's program. {_UPDATE}",
    ),
    Reason.UNKNOWN_SCHEMA: Remedy(
        "The gateway speaks another version of the contract than ingest.",
        "Update ingest, then replay. Until then there is no receipt and the gateway keeps them.",
    ),
    Reason.WRONG_TOPIC: Remedy(
        "The gateway is enrolled under another centre than its topic names, or the topic is none"
        " of the contract.",
        "Load the gateway under its centre, or mend its settings. It keeps its readings and sends"
        " them again; then replay finds them known.",
    ),
    Reason.UNKNOWN_GATEWAY: Remedy(
        "No such gateway is enrolled, or it was revoked.",
        "Enrol it under its centre: suifang pki token, or suifang load. It keeps its readings and"
        " sends them again; replay does not wait for that, and is needed only if the box is gone.",
    ),
    Reason.INVALID_ID: Remedy(
        "The reading's id is missing or no UUID of version 7.",
        f"Find the version of the gateway's program. {_UPDATE}",
    ),
    Reason.INVALID_TIME: Remedy(
        "A time is missing or has no offset.",
        f"Find the version of the gateway's or the terminal's program. {_UPDATE}",
    ),
    Reason.INVALID_FIELD: Remedy(
        "A field has a value that the contract does not allow.",
        f"See field and detail; mend the gateway's or the terminal's program. {_UPDATE}",
    ),
    Reason.UNDECODABLE: Remedy(
        "A device sent bytes over Bluetooth that its characteristic does not allow.",
        "See the payload: characteristic and bytes; suifang gateway decode says where they break."
        f" Many of one device: have it checked. Replay cannot help. {_DROP}",
    ),
    Reason.UNKNOWN_KIND: Remedy(
        "Neither a blood pressure nor a glucose value.",
        f"A terminal of a kind that this version does not know. {_UPDATE}",
    ),
    Reason.UNKNOWN_CONTEXT: Remedy(
        "The meal context of a glucose value is no word of the contract.",
        f"Mend the terminal's program. {_UPDATE}",
    ),
    Reason.MISSING_UNIT: Remedy(
        "A value came without its unit, which is never guessed.",
        f"Mend the terminal's settings. Replay cannot help: the bytes stay as they are. {_DROP}",
    ),
    Reason.UNKNOWN_UNIT: Remedy(
        "The unit is none of the contract.",
        f"Mend the terminal's settings. {_UPDATE} Else drop.",
    ),
    Reason.MISSING_VALUE: Remedy(
        "A value that the kind needs is missing.",
        f"Mend the terminal's program. Replay cannot help. {_DROP}",
    ),
    Reason.NOT_A_NUMBER: Remedy(
        "A value is text, or anything else than a number.",
        "NaN, NRes, RFU, +INF or -INF: the measurement failed; many of one device: have it checked."
        f" Else mend the terminal's program. {_UPDATE} Else drop.",
    ),
    Reason.TOO_PRECISE: Remedy(
        "A value has more decimals than its instrument has.",
        f"Mend the terminal's program. {_UPDATE} Else drop.",
    ),
    Reason.IMPLAUSIBLE: Remedy(
        "No living person has this value.",
        "A few are normal (a loose cuff). Many of one device: have it checked. Replay helps only"
        f" after the physical limits were changed. {_DROP}",
    ),
    Reason.DEVICE_STATUS: Remedy(
        "The device itself says that the measurement failed.",
        "A few are normal (somebody moved). Many of one device: have it checked. Replay cannot"
        f" help. {_DROP}",
    ),
    Reason.BEFORE_RETENTION: Remedy(
        "Older than the readings that are kept: its past is closed (retention).",
        "Normal of a box that was away for years. Many of one gateway: look at its clock. Replay"
        " cannot help, the edge never goes back; drop.",
    ),
    Reason.ID_CONFLICT: Remedy(
        "Two different readings bear one id: a spool was copied to a second box, or restored.",
        "Take one of the boxes out. The first one stays, replay changes nothing: a person compares"
        " both and drops this one.",
    ),
    Reason.SEQUENCE_CONFLICT: Remedy(
        "A device gave one number to two measurements: it counts anew without a new boot_id.",
        "Have the device's program mended. An emergency among them was raised all the same. Replay"
        f" cannot help. {_DROP}",
    ),
    Reason.UNSTORABLE: Remedy(
        "Ours: the decoder let through what the database refuses.",
        "Report it with number and detail; after the update of ingest, replay.",
    ),
}


def remedy_of(reason: str) -> Remedy:
    """The remedy of a stored reason, which may be of a newer version."""
    known = REMEDIES.get(Reason(reason)) if reason in list(Reason) else None
    return known or Remedy("Unknown to this version.", "Update this program and ask again.")


def as_markdown() -> str:
    """The table for ``docs/quarantine.md``."""
    lines = ["| reason | means | do |", "|---|---|---|"]
    lines += [
        f"| `{reason}` | {each.meaning} | {each.remedy} |" for reason, each in REMEDIES.items()
    ]
    return "\n".join(lines) + "\n"
