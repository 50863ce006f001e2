"""Signs tokens, good ones and all the bad ones, with keys of the test's own."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

ISSUER: Final = "https://issuer.example"
NOW: Final = datetime(2026, 3, 16, 16, 30, tzinfo=UTC)


class Signer:
    """An issuer with one P-256 and one RSA key."""

    def __init__(self) -> None:
        self.ec = ec.generate_private_key(ec.SECP256R1())
        self.rsa = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)

    def jwks(self, *more: Mapping[str, Any]) -> bytes:
        """The public keys, as the issuer would publish them."""
        keys = [
            {**ECAlgorithm.to_jwk(self.ec.public_key(), as_dict=True), "kid": "ec"},
            {**RSAAlgorithm.to_jwk(self.rsa.public_key(), as_dict=True), "kid": "rsa"},
            *more,
        ]
        return json.dumps({"keys": keys}).encode()

    def claims(self, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - claims are of any type
        """Good claims of a doctor; None takes one away."""
        at = int(NOW.timestamp())
        plain = {
            "iss": ISSUER,
            "aud": "suifang",
            "sub": "someone",
            "iat": at - 10,
            "exp": at + 600,
            "roles": ["doctor"],
            "teams": ["n1"],
        }
        return {k: v for k, v in {**plain, **more}.items() if v is not None}

    def sign(
        self,
        claims: Mapping[str, Any] | None = None,
        *,
        kid: str | None = "ec",
        algorithm: str | None = None,
        key: Any = None,  # noqa: ANN401 - of any kind, that is the point
        **header: Any,  # noqa: ANN401 - likewise
    ) -> str:
        """A token; by default a good one."""
        plain = self.claims() if claims is None else dict(claims)
        key = key or (self.rsa if kid == "rsa" else self.ec)
        named = {} if kid is None else {"kid": kid}
        algorithm = algorithm or ("RS256" if kid == "rsa" else "ES256")
        return jwt.encode(plain, key, algorithm=algorithm, headers={**named, **header})

    def unsigned(self) -> str:
        """The classic: alg none."""
        parts = [{"alg": "none", "typ": "JWT", "kid": "ec"}, self.claims()]
        return ".".join([*(_encode(json.dumps(part).encode()) for part in parts), ""])

    def public_pem(self, *, of: str = "rsa") -> bytes:
        """The public key as text: what is used as a secret to cheat with HS256."""
        key = self.rsa if of == "rsa" else self.ec
        return key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def confused(self) -> str:
        """Signed by HMAC with the public RSA key as the secret."""
        head = _encode(b'{"alg":"HS256","typ":"JWT","kid":"rsa"}')
        signed = f"{head}.{_encode(json.dumps(self.claims()).encode())}".encode()
        signature = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        return f"{signed.decode()}.{_encode(signature.sign(signed, self.public_pem()))}"


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def bad_tokens(signer: Signer) -> dict[str, str]:
    """Everything that must be 401, by what is wrong with it."""
    stranger = Signer()
    at = int(NOW.timestamp())
    good = signer.sign()
    head, body, signature = good.split(".")
    other_body = stranger.sign(signer.claims(roles=["contract_system"])).split(".")[1]
    weak = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)

    def with_claims(**claims: Any) -> str:  # noqa: ANN401 - claims are of any type
        return signer.sign(signer.claims(**claims))

    return {
        "no token at all": "x",
        "dots": "..",
        "not base64": "é.é.é",
        "too long": "a" * 9_000,
        "alg none": signer.unsigned(),
        "alg none, signature kept": f"{signer.unsigned()}{signature}",
        "HS256 with the public key": signer.confused(),
        "HS256 with a secret": signer.sign(algorithm="HS256", key="s" * 32),
        "RS512": signer.sign(kid="rsa", algorithm="RS512"),
        "key of a stranger": stranger.sign(),
        "unknown key id": signer.sign(kid="other"),
        "no key id": signer.sign(kid=None),
        "algorithm of the other key": signer.sign(kid="rsa", algorithm="ES256", key=signer.ec),
        "own key in the header": stranger.sign(
            jwk=json.loads(ECAlgorithm.to_jwk(stranger.ec.public_key()))
        ),
        "key by address in the header": signer.sign(key=stranger.ec, jku="https://x.example/keys"),
        "unlisted RSA key": signer.sign(kid="rsa", key=weak),
        "body exchanged": f"{head}.{other_body}.{signature}",
        "signature cut": good[:-10],
        "no signature": f"{head}.{body}.",
        "an ID token": signer.sign(typ="id+jwt"),
        "other audience": with_claims(aud="another"),
        "no audience": with_claims(aud=None),
        "other issuer": with_claims(iss="https://other.example"),
        "issuer begins alike": with_claims(iss=f"{ISSUER}.evil.example"),
        "no issuer": with_claims(iss=None),
        "no subject": with_claims(sub=None),
        "empty subject": with_claims(sub=""),
        "long subject": with_claims(sub="x" * 201),
        "expired": with_claims(iat=at - 600, exp=at - 61),
        "no end": with_claims(exp=None),
        "end is text": with_claims(exp="tomorrow"),
        "end is huge": with_claims(exp=10**30),
        "no beginning": with_claims(iat=None),
        "issued in the future": with_claims(iat=at + 61, exp=at + 120),
        "not yet": with_claims(nbf=at + 61),
        "lives for a year": with_claims(exp=at + 31_536_000),
        "roles are text": with_claims(roles="doctor"),
        "a role is a number": with_claims(roles=[1]),
        "teams are a tree": with_claims(teams={"n1": True}),
        "too many teams": with_claims(teams=[f"t{n}" for n in range(501)]),
    }
