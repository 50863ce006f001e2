"""What a box sends for a certificate, and what it gets."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from api.enrolment import examples
from api.enrolment.authority import AuthorityError, read_request
from gateway.wire.enrolment import REQUEST_CHARACTERS_MAX, SIGNATURE_CHARACTERS_MAX


def _require_request(pem: str) -> str:
    try:
        read_request(pem)
    except AuthorityError as error:
        raise ValueError(str(error)) from error
    return pem


Request = Annotated[
    str,
    Field(
        max_length=REQUEST_CHARACTERS_MAX,
        description="PKCS#10, PEM, EC P-256, signed by its own key; names in it do not count",
    ),
    AfterValidator(_require_request),
]


class EnrolmentOrder(BaseModel):
    """The first certificate of a gateway, for a token."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [examples.ENROLMENT]}
    )

    token: Annotated[str, Field(max_length=100, description="Printed by `suifang pki token`")]
    request: Request


class RenewalOrder(BaseModel):
    """The next certificate, for a signature by the key of the present one."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", json_schema_extra={"examples": [examples.RENEWAL]}
    )

    fingerprint: Annotated[
        str, Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the present certificate")
    ]
    request: Request
    signature: Annotated[
        str,
        Field(
            max_length=SIGNATURE_CHARACTERS_MAX,
            description="Base64: ECDSA with SHA-256 over `suifang gateway renewal v1\\n`, the"
            " fingerprint (32 bytes) and the request (DER)",
        ),
    ]


class CertificateOut(BaseModel):
    """A certificate and what it is good for. Holds no secret."""

    gateway_id: Annotated[str, Field(description="Also its user name at the broker")]
    centre_id: str
    serial: Annotated[str, Field(description="Hexadecimal")]
    certificate: Annotated[str, Field(description="PEM")]
    chain: Annotated[
        list[str], Field(description="PEM; all are to be trusted, the last one signed")
    ]
    valid_from: datetime
    valid_until: datetime
