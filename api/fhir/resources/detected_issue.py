"""An alert as a DetectedIssue: what was seen, against which limit, by whose rule.

It must never be without the threshold and its source, and says nothing that is a diagnosis.
"""

from collections.abc import Mapping
from typing import Any, Final

from api.fhir import ids
from api.fhir.codes import (
    ALERT_CODES,
    CONDITION_CODES,
    RESIDENT_IDS,
    SNOMED,
    Json,
    coding,
    concept,
    identifier,
)
from api.fhir.resources.meta import instant, meta, moment_version

ALERT_IDS: Final = "urn:suifang:alert"
_STATUSES: Final = {"active": "final", "resolved": "final", "cancelled": "cancelled"}
_SEVERITIES: Final = {"critical": "high", "high": "high", "warn": "moderate", "info": "low"}
_FINER: Final = "urn:suifang:severity"  # FHIR has three levels, we have four.


def judged_by(row: Mapping[str, Any]) -> Json:
    """Who judged: the rules, by a dated profile."""
    profile = f"{row['profile']} {row['profile_version']}"
    return {"type": "Device", "display": f"Suifang rules, profile {profile}"}


def of_condition(condition: str) -> Json:
    """A condition of ours as a concept."""
    code, display = CONDITION_CODES[condition]
    return concept(coding(SNOMED, code, display), text=condition)


def build(row: Mapping[str, Any]) -> Json:
    """The DetectedIssue of one row of ``judged_queries``. Pure."""
    resource: Json = {
        "resourceType": "DetectedIssue",
        "id": str(row["id"]),
        "meta": {
            **meta(moment_version(row["updated_at"]), row["updated_at"]),
            "tag": [coding(_FINER, row["severity"]), coding("urn:suifang:status", row["status"])],
        },
        "identifier": [identifier(ALERT_IDS, str(row["id"]))],
        "status": _STATUSES[row["status"]],
        "code": concept(coding(ALERT_CODES, row["code"]), text=row["code"]),
        "severity": _SEVERITIES[row["severity"]],
        "identifiedDateTime": instant(row["raised_at"]),
        "author": judged_by(row),
        "detail": _detail(row),
    }
    if row["resident_id"] is not None:
        resource["patient"] = ids.reference("Patient", row["resident_id"], RESIDENT_IDS)
    evidence: Json = {"code": [of_condition(row["condition"])]}
    if row["anchor_kind"] == "reading":
        evidence["detail"] = [{"reference": f"Observation/{row['anchor_id']}"}]
    resource["evidence"] = [evidence]
    if row["status"] == "resolved":
        resource["mitigation"] = [
            {"action": {"text": "resolved"}, "date": instant(row["updated_at"])}
        ]
    return resource


def _detail(row: Mapping[str, Any]) -> str:
    said = f"{row['observed']}; limit {row['threshold']}; source: {row['source']}"
    explained = row["explanation"]
    return said if explained is None else f"{said}. {explained['en']} / {explained['zh']}"
