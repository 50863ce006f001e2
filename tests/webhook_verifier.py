"""A receiver's check, written from the Standard Webhooks specification 1.0.0 and nothing of ours.

"Verifying signatures": the content is ``{id}.{timestamp}.{body}``; the header lists signatures with
blanks between, each ``v1,`` and base64 of HMAC-SHA256; the secret is base64 after ``whsec_``; the
timestamp is within a tolerance; the comparison takes the same time whatever differs.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from hmac import compare_digest, digest


class NotGenuineError(Exception):
    """Somebody else sent it, or sent it long ago."""


def verify(
    secret: str, headers: Mapping[str, str], body: bytes, *, now_s: float, tolerance_s: float = 300
) -> str:
    """The message's id. Raises ``NotGenuineError``."""
    message_id, sent_s = headers["webhook-id"], headers["webhook-timestamp"]
    if abs(now_s - int(sent_s)) > tolerance_s:
        msg = "too old, or from the future"
        raise NotGenuineError(msg)
    key = b64decode(secret.removeprefix("whsec_"), validate=True)
    signed = b".".join([message_id.encode("ascii"), sent_s.encode("ascii"), body])
    expected = b64encode(digest(key, signed, "sha256"))
    for candidate in headers["webhook-signature"].split(" "):
        version, _, signature = candidate.partition(",")
        if version == "v1" and compare_digest(signature.encode("ascii"), expected):
            return message_id
    msg = "no signature fits"
    raise NotGenuineError(msg)
