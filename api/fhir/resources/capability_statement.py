"""What ``/fhir`` can do, as a CapabilityStatement. Pure; true for everybody, so nobody is asked."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from api.fhir.codes import Json, coding, concept

CHANGED_ON: Final = "2026-03-16"  # When what it says was last changed.
FHIR_VERSION: Final = "4.0.1"


class Parameter(NamedTuple):
    """One search parameter."""

    name: str
    type: str
    documentation: str


class Served(NamedTuple):
    """One resource type that is served."""

    name: str
    says: str
    parameters: Sequence[Parameter]
    creates: bool = False


def build(served: Sequence[Served], *, program_version: str, base: str) -> Json:
    """The CapabilityStatement of this program."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": CHANGED_ON,
        "kind": "instance",
        "software": {"name": "Suifang", "version": program_version},
        "implementation": {"description": "Community follow-up of chronic diseases", "url": base},
        "fhirVersion": FHIR_VERSION,
        "format": ["json", "application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "security": {
                    "service": [
                        concept(
                            coding(
                                "http://terminology.hl7.org/CodeSystem/restful-security-service",
                                "OAuth",
                            )
                        )
                    ],
                    "description": "A bearer token of the deployment's OIDC issuer, or an API key",
                },
                "resource": [_resource(one) for one in served],
                "interaction": [{"code": "transaction"}, {"code": "batch"}],
            }
        ],
    }


def _resource(served: Served) -> Json:
    create = [{"code": "create"}] if served.creates else []
    return {
        "type": served.name,
        "documentation": served.says,
        "interaction": [{"code": "read"}, {"code": "search-type"}, *create],
        "versioning": "versioned",
        "conditionalCreate": served.creates,
        "conditionalRead": "not-match",
        "searchParam": [
            {"name": one.name, "type": one.type, "documentation": one.documentation}
            for one in served.parameters
        ],
    }
