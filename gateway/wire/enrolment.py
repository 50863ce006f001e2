"""What a box and the API agree on when a gateway gets, or renews, its certificate.

A box makes its key pair itself and sends a signing request; the key never travels. The first
certificate is given for a one-time token, every later one for a signature by the key of the one
before. Names in a signing request count for nothing: a certificate is for whom the token, or the
certificate before, was for.

Invariants: nobody can become a gateway named like a user or a session of the server side
(``is_reserved``); a signature made for a renewal is good for nothing else (``renewal_message``).
"""

import re
from typing import Final

from gateway.wire.topics import NAME_PATTERN

ENROLMENTS_PATH: Final = "/v1/gateway-enrolments"
RENEWALS_PATH: Final = "/v1/gateway-renewals"

TOKEN_PATTERN: Final = r"sfe-[0-9a-f]{16}-[A-Za-z0-9_-]{43}"  # noqa: S105 - its form
"""A public number, by which it is found, and 256 secret bits, of which the server has a hash."""

REQUEST_CHARACTERS_MAX: Final = 4_096
"""Of a signing request as PEM; one with a P-256 key and a name has about 400."""

SIGNATURE_CHARACTERS_MAX: Final = 256
"""Of a signature in base64; ECDSA with P-256 has at most 96."""

RENEW_PART_LEFT: Final = 3
"""A gateway renews when a third of its certificate's life is left: of a year, four months."""

OPERATOR: Final = "operator"
"""Who sends commands (``suifang command``): the one user of the server side with a certificate."""
_RESERVED: Final = ("ingest", OPERATOR, "probe")
_RENEWAL: Final = b"suifang gateway renewal v1\n"


def is_reserved(name: str) -> bool:
    """Whether a name belongs to the server side: its users at the broker, and their sessions.

    At the broker a gateway's name is also its client id: one called ``ingest-0`` would throw the
    worker of that name out.
    """
    return any(name == taken or name.startswith(f"{taken}-") for taken in _RESERVED)


def is_gateway_name(name: str) -> bool:
    """Whether a gateway may be called so: fit for a topic, and not reserved."""
    return re.fullmatch(NAME_PATTERN, name, re.ASCII) is not None and not is_reserved(name)


def renewal_message(fingerprint: bytes, request: bytes) -> bytes:
    """What the present key signs (ECDSA, SHA-256) to get the next certificate.

    Args:
        fingerprint: SHA-256 of the present certificate, 32 bytes.
        request: The signing request for the next one, DER.
    """
    return _RENEWAL + fingerprint + request
