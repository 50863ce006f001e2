"""Certificates of every kind, good and bad, for tests that try to get in with them."""

import ssl
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from api.enrolment.authority import CURVE, Authority, to_pem
from gateway.wire.times import utc_now

DAY = timedelta(days=1)


def a_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(CURVE())


def key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def write_identity(
    folder: Path,
    certificate: x509.Certificate,
    key: ec.EllipticCurvePrivateKey,
    authority: Authority,
) -> Path:
    """A folder as an enrolment leaves it; returns it."""
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / "identity.pem").touch(mode=0o600)
    (folder / "identity.pem").write_text(key_pem(key) + to_pem(certificate))
    (folder / "ca.pem").write_text(authority.certificate_pem)
    return folder


def an_identity(folder: Path, authority: Authority, name: str) -> Path:
    """A gateway's good identity, in a folder of its name."""
    key = a_key()
    certificate = authority.sign_gateway(name, key.public_key(), at=utc_now())
    return write_identity(folder / name, certificate, key, authority)


def valid_between(
    authority: Authority, name: str, key: ec.EllipticCurvePrivateKey, begin: datetime, end: datetime
) -> x509.Certificate:
    """A certificate that no authority of ours would sign now."""
    return authority._sign(name, key.public_key(), (begin, end), ExtendedKeyUsageOID.CLIENT_AUTH)


def a_context(folder: Path, *, authority: Path | None = None) -> ssl.SSLContext:
    """A client's context with this identity."""
    context = ssl.create_default_context(cafile=authority or folder / "ca.pem")
    context.load_cert_chain(folder / "identity.pem")
    return context
