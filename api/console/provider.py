"""Signing in at the deployment's issuer: authorization code with PKCE, from the browser and back.

    browser ── /sign-in/begin ──▶ issuer: who are you? ──▶ /sign-in/return ?code
                  │ state, verifier: a cookie                   │ code + verifier ──▶ issuer: token
                  └─────────────────────────────────────────────┘

It must never take a code that this browser did not begin to ask for, send a code to another place
than the settings name, nor believe a token that the API's own guard would not: the token becomes
the session as it is. Invariants: a beginning is good once and for ``BEGUN_S``; where one goes
afterwards is a page of ours.

Source: RFC 7636 (PKCE); RFC 9700 (security best current practice), 2.1; RFC 9207 (``iss``).
"""

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from typing import Any, Final, Self
from urllib.parse import urlencode

import httpx
import structlog

from api.console.settings import OidcSettings
from api.errors import ApiError, UnavailableError

_log = structlog.get_logger()
BEGUN_S: Final = 600  # As long as the codes of issuers live at most. Source: RFC 6749, 4.1.2.
_SECRET_BYTES: Final = 32
_ANSWER_BYTES_MAX: Final = 65_536
_CODE_CHARACTERS_MAX: Final = 2_000


class ProviderError(ApiError):
    """The issuer gives no token for what it sent back."""

    status = 403
    slug = "sign-in-refused"
    title = "Not signed in"


@dataclass(frozen=True, slots=True)
class Beginning:
    """What one browser keeps between going and coming back."""

    state: str
    verifier: str
    next: str

    @classmethod
    def new(cls, next_: str) -> Self:
        """A fresh one."""
        state, verifier = (secrets.token_urlsafe(_SECRET_BYTES) for _ in range(2))
        return cls(state, verifier, next_)

    def pack(self) -> str:
        """As a cookie."""
        text = json.dumps([self.state, self.verifier, self.next])
        return base64.urlsafe_b64encode(text.encode()).decode("ascii")

    @classmethod
    def unpack(cls, cookie: str) -> Self | None:
        """From a cookie; None: it is none of ours."""
        try:
            found = json.loads(base64.urlsafe_b64decode(cookie))
        except ValueError:
            return None
        if isinstance(found, list) and all(isinstance(each, str) for each in found):
            return cls(*found) if len(found) == len(cls.__slots__) else None
        return None

    def is_answered_by(self, state: str) -> bool:
        """Whether this is what comes back."""
        return hmac.compare_digest(self.state.encode(), state.encode())


def require_issuer(said: str, expected: str | None) -> None:
    """Raise ``ProviderError`` if another issuer says that it sent the browser back."""
    if said and said != expected:
        msg = "another issuer sent this browser back; begin again"
        raise ProviderError(msg)


def address(settings: OidcSettings, beginning: Beginning) -> str:
    """Where the browser goes to say who it is."""
    challenge = hashlib.sha256(beginning.verifier.encode("ascii")).digest()
    asked = {
        "response_type": "code",
        "client_id": settings.client_id,
        "redirect_uri": settings.return_url,
        "scope": settings.scope,
        "state": beginning.state,
        "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode("ascii"),
        "code_challenge_method": "S256",
    }
    joint = "&" if "?" in settings.authorize_url else "?"
    return f"{settings.authorize_url}{joint}{urlencode(asked)}"


async def redeem(settings: OidcSettings, code: str, beginning: Beginning) -> str:
    """The token for a code. Bounded by ``fetch_ms_max``; asked once, for a code is good once.

    Raises:
        ProviderError: The issuer refuses it.
        UnavailableError: The issuer does not answer, or not in its own terms.
    """
    if not 0 < len(code) <= _CODE_CHARACTERS_MAX:
        msg = "the issuer sent no code; begin again"
        raise ProviderError(msg)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": settings.return_url,
        "client_id": settings.client_id,
        "code_verifier": beginning.verifier,
    }
    secret = settings.read_secret()
    who = None if secret is None else httpx.BasicAuth(settings.client_id, secret)
    patience_s = settings.fetch_ms_max / 1_000
    try:
        async with httpx.AsyncClient(timeout=patience_s, follow_redirects=False) as client:
            request = client.build_request("POST", settings.token_url, data=form)
            response = await client.send(request, auth=who)
        answer = _read(response)
    except (httpx.HTTPError, ValueError) as error:
        _log.warning("the issuer gives no token just now", reason=type(error).__name__)
        msg = "the issuer does not answer just now; try again"
        raise UnavailableError(msg) from error
    token = answer.get("access_token")
    if response.status_code != httpx.codes.OK or not isinstance(token, str):
        _log.warning("the issuer refused a sign-in", status=response.status_code)
        msg = "the issuer refused this sign-in; begin again"
        raise ProviderError(msg)
    return token


def _read(response: httpx.Response) -> dict[str, Any]:
    if len(response.content) > _ANSWER_BYTES_MAX or response.is_server_error:
        msg = f"{response.status_code}, {len(response.content)} bytes"
        raise ValueError(msg)
    found = response.json()
    return found if isinstance(found, dict) else {}
