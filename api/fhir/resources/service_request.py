"""A referral as a ServiceRequest: the change of a case that asked for one.

Proposed where the rules asked, ordered where a person did. Completed once somebody has recorded
its follow-up, revoked once another referral took its place; otherwise what became of it is not
known here, and that is what it says.
"""

from collections.abc import Mapping
from typing import Any, Final

from api.fhir import ids
from api.fhir.codes import RESIDENT_IDS, Json, coding, concept
from api.fhir.resources.detected_issue import judged_by, of_condition
from api.fhir.resources.meta import instant, meta, moment_version
from api.fhir.resources.provenance import who

REFERRALS: Final = ("referral_recommended", "emergency_referral", "screening_referral")
JUDGE: Final = "judge"


def build(row: Mapping[str, Any]) -> Json:
    """The ServiceRequest of one row of ``judged_queries``. Pure."""
    by_rules = row["author"] == JUDGE
    resource: Json = {
        "resourceType": "ServiceRequest",
        "id": str(row["number"]),
        "meta": meta(moment_version(row["updated_at"]), row["updated_at"]),
        "status": row["status"],
        "intent": "proposal" if by_rules else "order",
        "code": concept(
            coding("urn:suifang:case-state", row["to_state"]),
            text=row["to_state"].replace("_", " "),
        ),
        "subject": ids.reference("Patient", row["resident_id"], RESIDENT_IDS),
        "authoredOn": instant(row["at"]),
        "requester": judged_by(row) if by_rules else who(row["author"]),
        "reasonCode": [of_condition(row["condition"])],
    }
    if row["to_state"] == "emergency_referral":
        resource["priority"] = "stat"
    if row["input_ids"]:
        resource["reasonReference"] = [
            {"reference": f"Observation/{reading}"} for reading in row["input_ids"]
        ]
    if row["threshold"]:
        resource["note"] = [{"text": f"limit {row['threshold']}"}]
    return resource
