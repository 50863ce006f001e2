"""What a case asks for as a Task: the visit or call that is due, and by which local day.

Only what stands: the rules clear a date when it is done, and its Task is there no more.
"""

from collections.abc import Mapping
from typing import Any, Final

from api.fhir import ids
from api.fhir.codes import RESIDENT_IDS, TEAM_IDS, Json, coding, concept, identifier
from api.fhir.resources.detected_issue import of_condition
from api.fhir.resources.meta import instant, meta, moment_version

KINDS: Final[Mapping[str, str]] = {
    "second-followup": "Second follow-up after an unsatisfied value",
    "referral-followup": "Follow-up of a referral",
    "routine": "Routine follow-up",
}


def build(row: Mapping[str, Any]) -> Json:
    """The Task of one row of ``judged_queries``. Pure."""
    resource: Json = {
        "resourceType": "Task",
        "id": f"{row['number']}-{row['kind']}",
        "meta": meta(moment_version(row["updated_at"]), row["updated_at"]),
        "status": "requested",
        "intent": "plan",
        "code": concept(coding("urn:suifang:task", row["kind"]), text=KINDS[row["kind"]]),
        "focus": {"reference": f"Flag/{row['number']}"},
        "for": ids.reference("Patient", row["resident_id"], RESIDENT_IDS),
        "lastModified": instant(row["updated_at"]),
        "reasonCode": of_condition(row["condition"]),
        "restriction": {"period": {"end": row["due"].isoformat()}},
    }
    if row["team_id"] is not None:
        resource["owner"] = {
            "type": "Organization",
            "identifier": identifier(TEAM_IDS, row["team_id"]),
        }
    return resource
