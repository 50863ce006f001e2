"""One POST to the API, by the standard library: HTTPS, the server's name checked, no redirects.

A token is in the body, so it goes to the address that was given and nowhere else. Everything is
bounded: time, size of the answer.
"""

import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.errors import EnrolmentError, EnrolmentRefusedError
from gateway.tls import is_loopback

_ANSWER_BYTES_MAX: Final = 65_536
_S_MAX: Final = 30.0
_DETAIL_MAX: Final = 500
_CLIENT_ERROR: Final = range(400, 500)


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an error: it would carry the token elsewhere."""

    def redirect_request(self, *_: object) -> None:
        return None


def check_address(address: str) -> str:
    """The API's base address without a slash at its end.

    Raises:
        EnrolmentError: It is none, or neither HTTPS nor on this machine.
    """
    parts = urlsplit(address)
    if parts.scheme not in {"https", "http"} or not parts.hostname or parts.query or parts.username:
        msg = f"{address!r} is no address of an API: write https://host or https://host:port"
        raise EnrolmentError(msg)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        msg = f"{address!r} is not encrypted, and the token would be readable: use https://"
        raise EnrolmentError(msg)
    return address.rstrip("/")


def post(
    address: str, path: str, body: Mapping[str, str], authority: Path | None
) -> dict[str, Any]:
    """Send one order; return the answer's object.

    Args:
        address: As ``check_address`` returns it.
        path: Of the order.
        body: Its fields.
        authority: Who signed the API's certificate; None: a public authority.

    Raises:
        EnrolmentRefusedError: The API will not; trying again changes nothing.
        EnrolmentError: It cannot be reached, or does not answer as it should; try again later.
    """
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked
        check_address(address) + path,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Accept": "application/json"},
    )
    try:
        context = ssl.create_default_context(cafile=authority)
        opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=context), _NoRedirects
        )
        with opener.open(request, timeout=_S_MAX) as answer:
            return _read_object(answer.read(_ANSWER_BYTES_MAX + 1))
    except urllib.error.HTTPError as error:
        with error:
            raise _refused(error.code, error.read(_ANSWER_BYTES_MAX)) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        msg = f"the API at {address} cannot be reached: {reason}. Run the command again later"
        raise EnrolmentError(msg) from error


def _refused(status: int, body: bytes) -> EnrolmentError:
    try:
        detail = str(_read_object(body)["detail"])[:_DETAIL_MAX]
    except (EnrolmentError, KeyError):
        detail = "no reason given; is that the address of Suifang's API?"
    detail = "".join(character for character in detail if character.isprintable())
    kind = EnrolmentRefusedError if status in _CLIENT_ERROR else EnrolmentError
    return kind(f"the API refused ({status}): {detail}")


def _read_object(body: bytes) -> dict[str, Any]:
    msg = "the API's answer cannot be read: is that the address of Suifang's API?"
    try:
        found = json.loads(body) if len(body) <= _ANSWER_BYTES_MAX else None
    except ValueError as error:
        raise EnrolmentError(msg) from error
    if not isinstance(found, dict):
        raise EnrolmentError(msg)
    return found
