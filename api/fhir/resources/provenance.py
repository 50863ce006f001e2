"""Where a reading comes from, and who changed what stands of it, as Provenance.

One for the reading (device and gateway), one for each thing that was said of it later.
"""

from collections.abc import Mapping
from typing import Any, Final

from api.fhir import ids
from api.fhir.codes import DEVICE_IDS, GATEWAY_IDS, Json, coding, concept, identifier
from api.fhir.resources.meta import instant, meta

STAFF_IDS: Final = "urn:suifang:subject"
_OPERATIONS: Final = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_PARTS: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_ACTIVITIES: Final = {
    "reading": "CREATE",
    "correction": "UPDATE",
    "context": "UPDATE",
    "retraction": "NULLIFY",
    "undo": "UPDATE",
}
MACHINES: Final = "client:"
"""How subjects of API keys begin."""


def who(subject: str) -> Json:
    """A person or a machine, by the subject of its credential."""
    kind = "Device" if subject.startswith(MACHINES) else "Practitioner"
    return {"type": kind, "identifier": identifier(STAFF_IDS, subject)}


def build(row: Mapping[str, Any]) -> Json:
    """The Provenance of one row of ``queries``. Pure."""
    first = row["kind"] == "reading"
    agents = [_agent("enterer", _gateway(row["gateway_id"]))]
    if first:
        device = ids.reference("Device", row["device_id"], DEVICE_IDS)
        if not row["device_known"]:
            device.pop("reference", None)
        agents.insert(0, _agent("performer", device))
    elif row["kind"] != "context":
        agents = [_agent("author", who(row["author"]))]
    resource: Json = {
        "resourceType": "Provenance",
        "id": str(row["id"]),
        "meta": meta(1, row["received_at"]),
        "target": [{"reference": f"Observation/{row['reading_id']}"}],
        "recorded": instant(row["received_at"]),
        "activity": concept(coding(_OPERATIONS, _ACTIVITIES[row["kind"]]), text=row["kind"]),
        "agent": agents,
    }
    if first:
        resource["occurredDateTime"] = instant(row["captured_at"])
    if row["reason"]:
        resource["reason"] = [{"text": row["reason"]}]
    return resource


def _gateway(gateway: str) -> Json:
    return {"type": "Device", "identifier": identifier(GATEWAY_IDS, gateway)}


def _agent(part: str, whom: Json) -> Json:
    return {"type": concept(coding(_PARTS, part)), "who": whom}
