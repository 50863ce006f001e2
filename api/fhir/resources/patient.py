"""A resident as a Patient: the pseudonym, and what the reader may know beyond it.

It must never hold a name or an ID number that was not opened by ``api.registry.personal`` for
this one reader; a list never holds any. Who may not read residents gets the pseudonym, the team
and the centre, and nothing else.
"""

from collections.abc import Mapping
from typing import Any, Final

from api.fhir import ids
from api.fhir.codes import CENTRE_IDS, RESIDENT_IDS, TEAM_IDS, Json, coding, concept, identifier
from api.fhir.resources.meta import meta
from ingest.db.entities import Personal

ID_NUMBERS: Final = "urn:suifang:id-number"  # GB 11643-1999.
_NATIONAL: Final = coding(
    "http://terminology.hl7.org/CodeSystem/v2-0203", "NI", "National unique individual identifier"
)


def build(row: Mapping[str, Any], *, whole: bool, personal: Personal | None = None) -> Json:
    """The Patient of one row of ``queries``. Pure.

    Args:
        row: Of the resident.
        whole: The reader may read residents: sex and birth date, too.
        personal: What was opened for this reader, if anything.
    """
    resource: Json = {
        "resourceType": "Patient",
        "id": ids.to_fhir(row["id"]),
        "meta": meta(row["version"], row["updated_at"]),
        "identifier": [identifier(RESIDENT_IDS, row["id"])],
    }
    if row["merged_into"] is not None:
        resource["active"] = False
        resource["link"] = [_link(row["merged_into"], "replaced-by")]
    elif row["merged"]:
        resource["link"] = [_link(id_, "replaces") for id_ in row["merged"]]
    if row["centre_id"] is not None:
        resource["managingOrganization"] = _organization(
            CENTRE_IDS, row["centre_id"], row["centre_name"]
        )
    if row["team_id"] is not None:
        resource["generalPractitioner"] = [
            _organization(TEAM_IDS, row["team_id"], row["team_name"])
        ]
    if whole:
        resource["gender"] = row["sex"] or "unknown"
        if row["birth_date"] is not None:
            resource["birthDate"] = row["birth_date"].isoformat()
    if whole and personal is not None:
        if personal.name is not None:
            resource["name"] = [{"use": "official", "text": personal.name}]
        if personal.id_number is not None:
            number = identifier(ID_NUMBERS, personal.id_number)
            resource["identifier"].append({**number, "type": concept(_NATIONAL)})
    return resource


def _link(id_: str, kind: str) -> Json:
    other = {
        "reference": f"Patient/{ids.to_fhir(id_)}",
        "identifier": identifier(RESIDENT_IDS, id_),
    }
    return {"other": other, "type": kind}


def _organization(system: str, id_: str, name: str | None) -> Json:
    return {
        "type": "Organization",
        "identifier": identifier(system, id_),
        **({"display": name} if name else {}),
    }
