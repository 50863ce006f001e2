"""A signed token (JWT, RFC 7519; profile RFC 9068) becomes a principal, or is refused.

It must never let the token choose how it is checked: the algorithm belongs to the key, and only
RS256 and ES256 exist here. Times are compared with our clock argument, not the library's.
Invariant: whatever bytes come, the answer is a principal or ``UnauthenticatedError``.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from jwt.exceptions import InvalidAudienceError, InvalidIssuerError, PyJWTError

from api.auth.key_set import KeySet
from api.auth.permissions import CARE, Role
from api.auth.principal import Principal
from api.auth.settings import AuthSettings
from api.errors import ForbiddenError, UnauthenticatedError

ALGORITHMS: Final = ("ES256", "RS256")
_TYPES: Final = {"jwt", "at+jwt", "application/at+jwt"}
_NEEDED: Final = ("exp", "iat", "sub", "aud", "iss")
_NAMES_MAX: Final = 500  # Teams or centres in one token.
_NAME_CHARACTERS_MAX: Final = 200


async def read_token(
    token: str, *, keys: KeySet, settings: AuthSettings, now: datetime
) -> Principal:
    """Check a token and say who it is.

    Raises:
        UnauthenticatedError: It is no token for us, or not any more.
        ForbiddenError: It is good, but its roles contradict each other.
        UnavailableError: There are no keys to check it with.
    """
    if len(token) > settings.token_bytes_max:
        msg = f"the token is longer than {settings.token_bytes_max} characters"
        raise UnauthenticatedError(msg)
    claims = await _read_claims(token, keys, settings)
    expires_at = _require_time(claims, settings, now)
    subject = claims["sub"]
    if not _is_name(subject):
        msg = "the token's `sub` is no text of 1 to 200 characters, without NUL"
        raise UnauthenticatedError(msg)
    known = {str(role) for role in Role}
    # An issuer serves other programs too: their roles are none of ours.
    roles = frozenset(Role(n) for n in _names(claims, settings.roles_claim) if n in known)
    require_together(roles)
    return Principal(
        subject=subject,
        kind="person",
        roles=roles,
        team_ids=_names(claims, settings.teams_claim),
        centre_ids=_names(claims, settings.centres_claim),
        expires_at=expires_at,
    )


def require_together(roles: frozenset[Role]) -> None:
    """Raise ``ForbiddenError`` for roles that one credential must not hold at once."""
    if len(roles) > 1 and not roles <= CARE:
        msg = (
            f"the roles {', '.join(sorted(roles))} exclude each other; "
            "ask for a token for one of them"
        )
        raise ForbiddenError(msg)


async def _read_claims(token: str, keys: KeySet, settings: AuthSettings) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
    except (PyJWTError, ValueError, RecursionError) as error:
        msg = "this is no token; send `Authorization: Bearer` and a token or an API key"
        raise UnauthenticatedError(msg) from error
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS or str(header.get("typ", "JWT")).lower() not in _TYPES:
        msg = f"the token must be a JWT signed with {' or '.join(ALGORITHMS)}"
        raise UnauthenticatedError(msg)
    if not isinstance(key_id, str) or len(key_id) > _NAME_CHARACTERS_MAX:
        msg = "the token does not name its key (`kid`)"
        raise UnauthenticatedError(msg)
    found = await keys.find(key_id)
    if found is None or found[0] != algorithm:
        msg = "the issuer has no such key; ask for a new token"
        raise UnauthenticatedError(msg)
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key=found[1],
            algorithms=[found[0]],
            audience=settings.audience,
            issuer=settings.issuer,
            options={
                "require": list(_NEEDED),
                "verify_exp": False,  # By our clock, below.
                "verify_nbf": False,
                "verify_iat": False,
            },
        )
    except InvalidAudienceError as error:
        msg = f"the token is for another audience than {settings.audience!r}"
        raise UnauthenticatedError(msg) from error
    except InvalidIssuerError as error:
        msg = "the token is of another issuer"
        raise UnauthenticatedError(msg) from error
    except (PyJWTError, ValueError, TypeError, RecursionError) as error:
        msg = "the token does not hold; ask for a new one"
        raise UnauthenticatedError(msg) from error
    return claims


def _require_time(claims: Mapping[str, Any], settings: AuthSettings, now: datetime) -> datetime:
    """When the token ends, skew included. Raises unless it is good now."""
    skew = timedelta(seconds=settings.clock_skew_s)
    expires_at, issued_at = _instant(claims["exp"]), _instant(claims["iat"])
    begins_at = max(issued_at, _instant(claims["nbf"]) if "nbf" in claims else issued_at)
    if now >= expires_at + skew:
        msg = "the token has expired; ask for a new one"
        raise UnauthenticatedError(msg)
    if begins_at > now + skew:
        msg = "the token is not good yet; is the issuer's clock right?"
        raise UnauthenticatedError(msg)
    if expires_at - issued_at > timedelta(seconds=settings.token_s_max):
        msg = f"the token lives longer than {settings.token_s_max} s; ask for a shorter one"
        raise UnauthenticatedError(msg)
    return expires_at + skew


def _instant(value: object) -> datetime:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            pass
    msg = "a time in the token is no number of seconds (`exp`, `iat`, `nbf`)"
    raise UnauthenticatedError(msg)


def _is_name(value: object) -> bool:
    """Whether it is a text that the database can hold: no NUL, no half of a surrogate pair."""
    if not isinstance(value, str) or not 1 <= len(value) <= _NAME_CHARACTERS_MAX:
        return False
    return "\x00" not in value and not any("\ud800" <= each <= "\udfff" for each in value)


def _names(claims: Mapping[str, Any], path: str) -> frozenset[str]:
    """The texts of a list, found by a dotted name; none when it is not there."""
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    listed = [] if found is None else found
    if not isinstance(listed, list) or len(listed) > _NAMES_MAX or not all(map(_is_name, listed)):
        msg = f"the token's `{path}` is no list of at most {_NAMES_MAX} names"
        raise UnauthenticatedError(msg)
    return frozenset(listed)
