"""A measuring terminal as a Device. Nothing in it is about a resident."""

from collections.abc import Mapping
from typing import Any, Final

from api.fhir import ids
from api.fhir.codes import (
    CENTRE_IDS,
    DEVICE_IDS,
    GATEWAY_IDS,
    Json,
    coding,
    concept,
    identifier,
)
from api.fhir.resources.meta import digest_version

_KINDS: Final = {
    "blood_pressure": "Blood pressure monitor",
    "glucose": "Glucose meter",
}


def build(row: Mapping[str, Any]) -> Json:
    """The Device of one row of ``queries``. Pure; its version is its content."""
    resource: Json = {
        "resourceType": "Device",
        "id": ids.to_fhir(row["id"]),
        "identifier": [identifier(DEVICE_IDS, row["id"])],
        "type": concept(coding("urn:suifang:device-kind", row["kind"]), text=_KINDS[row["kind"]]),
        "owner": {"type": "Organization", "identifier": identifier(CENTRE_IDS, row["centre_id"])},
        "parent": {"type": "Device", "identifier": identifier(GATEWAY_IDS, row["gateway_id"])},
    }
    if row["model"]:
        resource["deviceName"] = [{"name": row["model"], "type": "model-name"}]
    resource["meta"] = {"versionId": digest_version(resource)}
    return resource
