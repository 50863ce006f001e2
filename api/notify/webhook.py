"""A signed POST to one address of the operator's, who passes it on to people.

Signed by the Standard Webhooks specification; ``webhook-id`` is the message's own id, the same at
every attempt, so that a receiver can tell a second copy. No redirect is followed.
"""

import base64
import json
from datetime import datetime

import httpx

from api.notify.notifiers import Message, NotSentError, Recipient
from api.notify.settings import WebhookSettings, read_secret
from api.webhooks.sender import make_tls_context
from api.webhooks.signing import SECRET_PREFIX, sign


class WebhookNotifier:
    """Reaches everybody: the receiver knows the staff by their ids."""

    name = "webhook"

    def __init__(self, settings: WebhookSettings, *, send_s_max: float) -> None:
        self._url = str(settings.url)
        self._send_s_max = send_s_max
        secret = read_secret(settings.secret_file)
        self._secret = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
        self._tls = make_tls_context(settings.ca_file)

    def reaches(self, recipient: Recipient) -> bool:  # noqa: ARG002 - the protocol's signature
        """Always."""
        return True

    async def send(self, message: Message, *, at: datetime) -> None:
        """One attempt; cancellation closes the connection."""
        body = json.dumps(message.as_json(), separators=(",", ":")).encode()
        headers = sign([self._secret], message_id=str(message.id), at=at, body=body)
        headers["content-type"] = "application/json"
        try:
            async with (
                httpx.AsyncClient(
                    verify=self._tls, trust_env=False, timeout=self._send_s_max
                ) as client,
                client.stream("POST", self._url, content=body, headers=headers) as answer,
            ):
                status = answer.status_code
        except httpx.HTTPError as error:
            msg = f"the receiver cannot be reached: {type(error).__name__}"
            raise NotSentError(msg) from error
        if not httpx.codes.is_success(status):
            msg = f"the receiver answered {status}"
            raise NotSentError(msg)
