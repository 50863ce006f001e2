"""Promise: a token is believed only if our issuer signed it, for us, for now, with its own key."""

import asyncio
import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from api.auth.key_set import KeySet, read_keys
from api.auth.permissions import Role
from api.auth.principal import Principal
from api.auth.settings import AuthSettings
from api.auth.tokens import read_token
from api.errors import ForbiddenError, UnauthenticatedError, UnavailableError
from tests.tokens import ISSUER, NOW, Signer, bad_tokens

SIGNER = Signer()
BAD = bad_tokens(SIGNER)


class Desk:
    """A key file, the keys read from it, and a clock that is moved by hand."""

    def __init__(self, folder: Path, **settings: Any) -> None:  # noqa: ANN401 - of any type
        self.file = folder / "jwks.json"
        self.file.write_bytes(SIGNER.jwks())
        self.now = NOW
        self.settings = AuthSettings(issuer=ISSUER, jwks_file=self.file, **settings)
        self.keys = KeySet(self.settings, self.clock)

    def clock(self) -> datetime:
        """What time it is here."""
        return self.now

    async def read(self, token: str) -> Principal:
        """Who a token is, by now."""
        return await read_token(token, keys=self.keys, settings=self.settings, now=self.now)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """One that knows the signer."""
    return Desk(tmp_path)


@pytest.mark.parametrize("kid", ["ec", "rsa"])
async def test_a_good_token_says_who_it_is(desk: Desk, kid: str) -> None:
    claims = SIGNER.claims(roles=["doctor", "other-program"], teams=["n1", "n2"], centres=["c"])

    found = await desk.read(SIGNER.sign(claims, kid=kid))

    assert found.subject == "someone"
    assert found.roles == {Role.DOCTOR}
    assert found.team_ids == {"n1", "n2"}
    assert found.centre_ids == {"c"}
    assert found.expires_at == NOW + timedelta(seconds=600 + 60)
    assert found.scopes is None


@pytest.mark.parametrize("what", BAD)
async def test_anything_else_is_refused(desk: Desk, what: str) -> None:
    with pytest.raises(UnauthenticatedError) as refused:
        await desk.read(BAD[what])

    assert BAD[what] not in refused.value.msg


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "a\x00b"},
        {"sub": "\ud800"},
        {"teams": ["n1", "a\x00b"]},
        {"centres": ["\udfff"]},
    ],
)
async def test_a_name_that_the_database_cannot_hold_is_refused(
    desk: Desk, claims: dict[str, Any]
) -> None:
    with pytest.raises(UnauthenticatedError):
        await desk.read(SIGNER.sign(SIGNER.claims(**claims)))


@given(token=st.text(max_size=300) | st.binary(max_size=300).map(lambda raw: raw.decode("latin1")))
def test_whatever_text_comes_it_is_refused_and_never_a_fault(
    tmp_path_factory: pytest.TempPathFactory, token: str
) -> None:
    desk = Desk(tmp_path_factory.getbasetemp())
    with pytest.raises(UnauthenticatedError):
        asyncio.run(desk.read(token))


@given(place=st.integers(0, 10_000), letter=st.sampled_from("AQgwx0_-."))
def test_a_token_with_one_letter_changed_is_refused_or_the_same(
    tmp_path_factory: pytest.TempPathFactory, place: int, letter: str
) -> None:
    desk = Desk(tmp_path_factory.getbasetemp())
    token = SIGNER.sign()
    place %= len(token)
    changed = token[:place] + letter + token[place + 1 :]
    try:
        found = asyncio.run(desk.read(changed))
    except UnauthenticatedError:
        return
    # The last letter of a base64 part has bits that mean nothing.
    assert found == asyncio.run(desk.read(token))
    assert changed == token or place == len(token) - 1


@pytest.mark.parametrize(
    ("seconds", "good"),
    [(-70, True), (-71, False), (0, True), (659, True), (660, False)],
)
async def test_the_skew_is_allowed_at_both_ends_and_not_a_second_more(
    desk: Desk, seconds: int, *, good: bool
) -> None:
    token = SIGNER.sign()  # Issued 10 s before NOW, ends 600 s after it.
    desk.now = NOW + timedelta(seconds=seconds)
    if good:
        await desk.read(token)
    else:
        with pytest.raises(UnauthenticatedError):
            await desk.read(token)


@pytest.mark.parametrize(
    ("roles", "good"),
    [
        (["doctor", "team_leader", "centre_admin"], True),
        (["doctor", "supervisor"], False),
        (["ops", "auditor"], False),
        (["contract_system", "doctor"], False),
        ([], True),  # It may nothing, then.
    ],
)
async def test_roles_that_exclude_each_other_are_forbidden(
    desk: Desk, roles: list[str], *, good: bool
) -> None:
    token = SIGNER.sign(SIGNER.claims(roles=roles))
    if good:
        assert (await desk.read(token)).roles == set(roles)
    else:
        with pytest.raises(ForbiddenError):
            await desk.read(token)


async def test_claims_may_have_the_issuers_own_names(tmp_path: Path) -> None:
    desk = Desk(tmp_path, roles_claim="realm_access.roles", teams_claim="groups")
    claims = SIGNER.claims(
        roles=None, teams=None, realm_access={"roles": ["doctor"]}, groups=["n7"]
    )

    found = await desk.read(SIGNER.sign(claims))

    assert found.roles == {Role.DOCTOR}
    assert found.team_ids == {"n7"}


# --- keys ----------------------------------------------------------------------------------------


async def test_a_new_key_is_found_at_once_and_one_taken_back_ends(desk: Desk) -> None:
    await desk.read(SIGNER.sign())
    successor = Signer()
    added = {**ECAlgorithm.to_jwk(successor.ec.public_key(), as_dict=True), "kid": "new"}
    desk.file.write_bytes(SIGNER.jwks(added))
    desk.now += timedelta(seconds=10)
    await desk.read(successor.sign(kid="new"))
    await desk.read(SIGNER.sign())

    desk.file.write_bytes(json.dumps({"keys": [added]}).encode())
    desk.now += timedelta(seconds=desk.settings.jwks_fresh_s)
    claims = SIGNER.claims(exp=int(desk.now.timestamp()) + 60)
    await desk.read(successor.sign(claims, kid="new"))
    with pytest.raises(UnauthenticatedError):
        await desk.read(SIGNER.sign(claims))


async def test_unknown_key_ids_do_not_make_it_fetch_again_and_again(desk: Desk) -> None:
    await desk.read(SIGNER.sign())
    desk.file.write_bytes(b"would be noticed")
    tried_at = desk.keys._tried_at
    for n in range(100):
        with pytest.raises(UnauthenticatedError):
            await desk.read(SIGNER.sign(kid=f"guess-{n}"))

    assert desk.keys._tried_at == tried_at


async def test_while_the_issuer_is_away_known_keys_are_good_for_a_while_and_then_nothing_is(
    desk: Desk,
) -> None:
    await desk.read(SIGNER.sign())
    desk.file.unlink()
    for seconds, good in ((desk.settings.jwks_stale_s_max - 1, True), (1, False)):
        desk.now += timedelta(seconds=seconds)
        claims = SIGNER.claims(iat=int(desk.now.timestamp()), exp=int(desk.now.timestamp()) + 60)
        if good:
            await desk.read(SIGNER.sign(claims))
        else:
            with pytest.raises(UnavailableError):
                await desk.read(SIGNER.sign(claims))


async def test_without_any_keys_it_is_the_servers_trouble_and_no_401(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.file.write_bytes(b"{}")

    with pytest.raises(UnavailableError):
        await desk.read(SIGNER.sign())


def test_only_public_signing_keys_of_good_kinds_are_taken() -> None:
    short = rsa.generate_private_key(public_exponent=65_537, key_size=1_024)  # noqa: S505 - the point
    other_curve = ec.generate_private_key(ec.SECP384R1())
    plain = {**ECAlgorithm.to_jwk(SIGNER.ec.public_key(), as_dict=True)}
    unusable = [
        {**RSAAlgorithm.to_jwk(short.public_key(), as_dict=True), "kid": "short"},
        {**ECAlgorithm.to_jwk(other_curve.public_key(), as_dict=True), "kid": "p384"},
        {**ECAlgorithm.to_jwk(SIGNER.ec, as_dict=True), "kid": "private"},
        {"kty": "oct", "k": "c2VjcmV0", "kid": "secret", "alg": "HS256"},
        {**plain, "kid": "encrypts", "use": "enc"},
        {**plain, "kid": "lies", "alg": "HS256"},
        {**plain, "kid": 7},
        {**plain, "kid": "broken", "x": "AA"},
        "no object",
    ]
    listed = {"keys": [*json.loads(SIGNER.jwks())["keys"], *unusable]}

    assert set(read_keys(json.dumps(listed).encode())) == {"ec", "rsa"}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": []}', b"\xff", b'{"keys": [1]}']
)
def test_what_is_no_key_set_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_keys(content)


@pytest.mark.parametrize(
    ("settings", "good"),
    [
        ({}, True),
        ({"issuer": "x"}, False),
        ({"jwks_url": "https://x.example/keys"}, False),
        ({"issuer": "x", "jwks_url": "https://x.example/keys"}, True),
        ({"issuer": "x", "jwks_url": "http://x.example/keys"}, False),
        ({"issuer": "x", "jwks_url": "http://127.0.0.1:1/keys"}, True),
        ({"issuer": "x", "jwks_url": "https://u:p@x.example/keys"}, False),
        ({"issuer": "x", "jwks_url": "https://x.example/keys", "jwks_file": "k"}, False),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(settings: dict[str, Any], *, good: bool) -> None:
    if good:
        AuthSettings(**settings)
    else:
        with pytest.raises(ValueError, match="API_AUTH__"):
            AuthSettings(**settings)
