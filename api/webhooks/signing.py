"""The signature of a webhook, as its receiver checks it. Pure.

Source: Standard Webhooks specification 1.0.0, "Signature scheme" and "Webhook headers": HMAC-SHA256
over ``{id}.{timestamp}.{body}``, base64, one ``v1,…`` for each secret that is good.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

SECRET_BYTES: Final = 32  # Source: the same, table of schemes: at least 24, at most 64.
SECRET_PREFIX: Final = "whsec_"  # noqa: S105 - how every secret begins


def make_secret() -> bytes:
    """A new secret."""
    return secrets.token_bytes(SECRET_BYTES)


def write_secret(secret: bytes) -> str:
    """The secret as its owner is shown it, once."""
    return SECRET_PREFIX + base64.b64encode(secret).decode()


def sign(
    secrets_in_force: Sequence[bytes], *, message_id: str, at: datetime, body: bytes
) -> dict[str, str]:
    """The three headers of one attempt.

    Args:
        secrets_in_force: At least one; the newest first.
        message_id: The same at every attempt, without a full stop.
        at: When this attempt is made.
        body: Exactly what is sent.
    """
    timestamp = str(int(at.timestamp()))
    content = f"{message_id}.{timestamp}.".encode() + body
    signatures = (
        base64.b64encode(hmac.new(secret, content, hashlib.sha256).digest()).decode()
        for secret in secrets_in_force
    )
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }
