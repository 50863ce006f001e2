"""Signing in and out, and the choice of a language. The session is one cookie with one token.

``HttpOnly``: no script reads it; ``SameSite=Strict``: no other site's link or form sends it;
``Secure`` where the page came by https; it ends with its token. Nothing is kept on the server,
so any number of API processes serve one session.
"""

from typing import Annotated, Final, cast
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from api.auth.guard import Authenticated
from api.auth.permissions import Permission
from api.auth.principal import Principal
from api.console import provider
from api.console.doorkeeper import COOKIE
from api.console.forms import read_form
from api.console.pages import LANGUAGE_COOKIE, LANGUAGES, PREFIX, Pages, Shown
from api.console.people import People
from api.errors import (
    BadParameterError,
    ForbiddenError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from api.services import Running, Services

router = APIRouter()

_SIGN_IN: Final = f"{PREFIX}/sign-in"
_COOKIE_BYTES_MAX: Final = 4_000  # Browsers keep 4,096 with its name. Source: RFC 6265, 6.1.
_BEGUN: Final = "suifang_sign_in"
_FromIssuer = Annotated[str, Query(max_length=4_000)]
_LANGUAGE_S: Final = 31_536_000  # A year.


def address_for(request: Request) -> str:
    """The sign-in page that leads back to the page asked for."""
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET" or request.headers.get("hx-request") == "true":
        return _SIGN_IN
    return f"{_SIGN_IN}?{urlencode({'next': asked})}"


def forget(request: Request, response: Response) -> None:
    """End the session in this browser."""
    response.delete_cookie(
        COOKIE, path=PREFIX, httponly=True, samesite="strict", secure=is_secure(request)
    )


@router.get("/")
async def enter(principal: Authenticated) -> RedirectResponse:
    """The first page of whoever is signed in."""
    return RedirectResponse(_home(principal), status_code=303)


@router.get("/sign-in")
async def show_sign_in(
    request: Request,
    running: Running,
    pages: Shown,
    next_: Annotated[str, Query(alias="next")] = "",
) -> Response:
    """Whom one can be here; where nobody is offered, what the operator must set."""
    return _sign_in_page(request, running, pages, next_=_own_path(next_))


def _sign_in_page(
    request: Request,
    running: Services,
    pages: Pages,
    *,
    told: str = "",
    status: int = 200,
    next_: str = "",
) -> Response:
    """Who one can be, where one can say so, and what went wrong."""
    return pages.render(
        request,
        "sign_in.html",
        status=status,
        people=cast("People", request.app.state.people).offered,
        issuer=running.settings.auth.issuer,
        begin=running.settings.console.oidc is not None,
        next=next_,
        told=told,
    )


@router.get("/sign-in/begin")
async def begin(
    request: Request, running: Running, next_: Annotated[str, Query(alias="next")] = ""
) -> RedirectResponse:
    """Go to the issuer to say who one is."""
    oidc = running.settings.console.oidc
    if oidc is None:
        msg = "nobody signs in at an issuer here; see docs/console.md"
        raise NotFoundError(msg)
    beginning = provider.Beginning.new(_own_path(next_))
    response = RedirectResponse(provider.address(oidc, beginning), status_code=303)
    # Lax: it must come along when the issuer sends the browser back.
    response.set_cookie(
        _BEGUN,
        beginning.pack(),
        path=_SIGN_IN,
        max_age=provider.BEGUN_S,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )
    return response


@router.get("/sign-in/return")
async def come_back(
    *,
    request: Request,
    running: Running,
    pages: Shown,
    code: _FromIssuer = "",
    state: _FromIssuer = "",
    iss: _FromIssuer = "",
) -> Response:
    """Back from the issuer: the code becomes a token, and the token the session.

    The answer is a page that goes on by itself: a browser that was sent here by another site does
    not send a strict cookie along when it is sent on.
    """
    oidc = running.settings.console.oidc
    begun = provider.Beginning.unpack(request.cookies.get(_BEGUN, ""))
    if oidc is None or begun is None or not begun.is_answered_by(state):
        return _sign_in_page(request, running, pages, told="not_begun", status=400)
    next_ = _own_path(begun.next)
    try:
        provider.require_issuer(iss, running.settings.auth.issuer)
        token = await provider.redeem(oidc, code, begun)
        principal = await running.authenticator.authenticate(f"Bearer {token}")
        response: Response = pages.render(
            request, "signed_in.html", next=next_ or _home(principal), principal=None
        )
        remember(request, response, token, principal, now_s=running.clock().timestamp())
    except UnavailableError:
        response = _sign_in_page(
            request, running, pages, told="issuer_away", status=503, next_=next_
        )
    except (provider.ProviderError, UnauthenticatedError, ForbiddenError):
        response = _sign_in_page(
            request, running, pages, told="issuer_refused", status=403, next_=next_
        )
    response.delete_cookie(
        _BEGUN, path=_SIGN_IN, httponly=True, samesite="lax", secure=is_secure(request)
    )
    return response


@router.post("/sign-in")
async def sign_in(request: Request, running: Running, pages: Shown) -> Response:
    """Become one of the people offered."""
    form = await read_form(request)
    people, next_ = cast("People", request.app.state.people), _own_path(form.get("next", ""))
    token = people.sign_in(form.get("subject", ""), at=running.clock())
    if token is None:
        return _sign_in_page(request, running, pages, told="refused", status=422, next_=next_)
    principal = await running.authenticator.authenticate(f"Bearer {token}")
    response = RedirectResponse(next_ or _home(principal), status_code=303)
    remember(request, response, token, principal, now_s=running.clock().timestamp())
    return response


def remember(
    request: Request, response: Response, token: str, principal: Principal, *, now_s: float
) -> None:
    """Keep a checked token in the browser until it ends.

    Raises:
        UnauthenticatedError: It is too long for a cookie.
    """
    if len(token) > _COOKIE_BYTES_MAX:
        msg = f"the token has {len(token)} bytes; a browser keeps {_COOKIE_BYTES_MAX} of a session"
        raise UnauthenticatedError(msg)
    ends_s = principal.expires_at.timestamp() if principal.expires_at is not None else now_s
    response.set_cookie(
        COOKIE,
        token,
        path=PREFIX,
        max_age=max(0, int(ends_s - now_s)),
        httponly=True,
        samesite="strict",
        secure=is_secure(request),
    )


@router.post("/sign-out")
async def sign_out(request: Request) -> RedirectResponse:
    """End the session in this browser; the token itself ends by its own time."""
    response = RedirectResponse(_SIGN_IN, status_code=303)
    forget(request, response)
    return response


@router.post("/language")
async def choose_language(request: Request) -> RedirectResponse:
    """Change the language of all pages in this browser, and go on where one was."""
    form = await read_form(request)
    language = form.get("language", "")
    if language not in LANGUAGES:
        raise BadParameterError(field="language", value=language, remedy="must be zh or en")
    response = RedirectResponse(_own_path(form.get("next", "")) or f"{PREFIX}/", status_code=303)
    response.set_cookie(
        LANGUAGE_COOKIE,
        language,
        path=PREFIX,
        max_age=_LANGUAGE_S,
        samesite="strict",
        secure=is_secure(request),
    )
    return response


def _home(principal: Principal) -> str:
    if principal.may(Permission.ALERTS_READ):
        return f"{PREFIX}/today"
    return f"{PREFIX}/fleet"


def _own_path(address: str) -> str:
    """The address if it is one of the console's pages, else nothing: never another host."""
    inside = address.startswith(f"{PREFIX}/") and not address.startswith(_SIGN_IN)
    return address if inside and "\\" not in address and address.isprintable() else ""


def is_secure(request: Request) -> bool:
    """Whether the page came by https, as the proxy says."""
    return request.url.scheme == "https"
