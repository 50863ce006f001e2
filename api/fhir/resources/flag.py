"""A case as a Flag: the standing state of one condition of a resident."""

from collections.abc import Mapping
from typing import Any, Final

from api.fhir import ids
from api.fhir.codes import RESIDENT_IDS, Json, coding, concept, identifier
from api.fhir.resources.detected_issue import judged_by, of_condition
from api.fhir.resources.meta import meta, moment_version

CASE_IDS: Final = "urn:suifang:case"
STATES: Final = "urn:suifang:case-state"
INACTIVE: Final = ("none", "closed")
"""States in which nothing is asked of anybody."""


def build(row: Mapping[str, Any]) -> Json:
    """The Flag of one row of ``judged_queries``. Pure."""
    return {
        "resourceType": "Flag",
        "id": str(row["number"]),
        "meta": meta(moment_version(row["updated_at"]), row["updated_at"]),
        "identifier": [identifier(CASE_IDS, str(row["number"]))],
        "status": "inactive" if row["state"] in INACTIVE else "active",
        "category": [of_condition(row["condition"])],
        "code": concept(coding(STATES, row["state"]), text=row["state"].replace("_", " ")),
        "subject": ids.reference("Patient", row["resident_id"], RESIDENT_IDS),
        "author": judged_by(row),
    }
