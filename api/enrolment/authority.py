"""The deployment's certificate authority: one EC key that signs gateways and the broker.

It must never sign a reserved name, a name or an extension that a request brings along, or
anything that outlives it. A gateway's certificate is for clients only and the broker's for servers
only, so neither can play the other. Pure: no files, no database; the clock is an argument.

Sources: RFC 5280 (profile of certificates and CRLs), CA/Browser Forum BR 7.1.2.7 as a guide for
extensions. P-256 with SHA-256: every TLS 1.2 library has it, and a small arm64 box signs with it
in a millisecond, ten times faster than with RSA-2048.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.wire.enrolment import OPERATOR, is_gateway_name

CURVE: Final = ec.SECP256R1
AUTHORITY_DAYS: Final = 20 * 365
"""Boxes trust it for as long as they stand; replacing it means visiting them."""
GATEWAY_DAYS: Final = 365
SERVER_DAYS: Final = 2 * 365
OPERATOR_DAYS: Final = 30
"""Short: it is in no database, so no revocation list will ever name it."""
CLOCK_SKEW: Final = timedelta(hours=1)
"""A certificate is valid from so long before it was signed: clocks differ."""


class AuthorityError(Exception):
    """The authority cannot be used, or will not sign this."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """One certificate that must not be accepted any more."""

    serial: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate and its key. Holds a secret: never shown, never logged."""

    certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey
    beside: tuple[x509.Certificate, ...] = ()  # Boxes trust these, too, while one takes over.

    @classmethod
    def make(cls, name: str, *, at: datetime, days: int = AUTHORITY_DAYS) -> "Authority":
        """A new authority that signs itself."""
        key = ec.generate_private_key(CURVE())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = _usage(signs_certificates=True)
        builder = _builder(subject, subject, key.public_key(), (at - CLOCK_SKEW, _add(at, days)))
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)  # noqa: FBT003 - critical
        builder = builder.add_extension(usage, True)  # noqa: FBT003 - critical
        builder = builder.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
        )
        return cls(builder.sign(key, hashes.SHA256()), key)

    @classmethod
    def load(cls, certificate_pem: bytes, key_pem: bytes) -> "Authority":
        """An authority from its two files.

        Raises:
            AuthorityError: They are no certificate and key of an authority, or do not match.
        """
        try:
            certificate = x509.load_pem_x509_certificate(certificate_pem)
            key = serialization.load_pem_private_key(key_pem, password=None)
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
            msg = (
                "the authority's certificate or key cannot be read: make one by `suifang pki init`"
            )
            raise AuthorityError(msg) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not constraints.value.ca:
            msg = "that is no authority with an EC key: make one by `suifang pki init`"
            raise AuthorityError(msg)
        if key.public_key() != certificate.public_key():
            msg = "the authority's key does not belong to its certificate: take both of one folder"
            raise AuthorityError(msg)
        return cls(certificate, key)

    @property
    def certificate_pem(self) -> str:
        """What others need in order to trust what it signs."""
        return to_pem(self.certificate)

    def chain_of(self, signed: x509.Certificate) -> list[str]:
        """Whom a box is to trust, PEM; the last one signed its certificate, now or before."""
        known = [*self.beside, self.certificate]
        return [to_pem(each) for each in sorted(known, key=lambda each: _has_signed(each, signed))]

    def key_pem(self) -> bytes:
        """The key, unencrypted, for a file of mode 0600."""
        return self._key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    def sign_gateway(
        self, name: str, key: ec.EllipticCurvePublicKey, *, at: datetime, days: int = GATEWAY_DAYS
    ) -> x509.Certificate:
        """A client certificate whose CN, and user name at the broker, is a gateway's name.

        Raises:
            AuthorityError: No gateway may be called so, or the authority has ended.
        """
        if not is_gateway_name(name):
            msg = f"no gateway may be called {name!r}: small letters, digits, -; no user of ours"
            raise AuthorityError(msg)
        valid = self._span(at, days)
        return self._sign(name, key, valid, ExtendedKeyUsageOID.CLIENT_AUTH)

    def sign_operator(
        self, key: ec.EllipticCurvePublicKey, *, at: datetime, days: int = OPERATOR_DAYS
    ) -> x509.Certificate:
        """A client certificate of who sends commands to gateways. Never over the API.

        Raises:
            AuthorityError: The authority has ended.
        """
        return self._sign(OPERATOR, key, self._span(at, days), ExtendedKeyUsageOID.CLIENT_AUTH)

    def sign_server(
        self,
        names: Sequence[str],
        key: ec.EllipticCurvePublicKey,
        *,
        at: datetime,
        days: int = SERVER_DAYS,
    ) -> x509.Certificate:
        """A server certificate for host names and addresses; clients check these.

        Raises:
            AuthorityError: There is no name, or one is none, or the authority has ended.
        """
        if not names:
            msg = "a server certificate needs at least one host name or address"
            raise AuthorityError(msg)
        alternatives = tuple(_alternative(name) for name in names)
        valid = self._span(at, days)
        return self._sign(names[0], key, valid, ExtendedKeyUsageOID.SERVER_AUTH, alternatives)

    def sign_crl(
        self, revoked: Iterable[Revoked], *, number: int, at: datetime
    ) -> x509.CertificateRevocationList:
        """The revocation list.

        It holds as long as the authority does: a broker that has an outdated one refuses everybody,
        and Mosquitto reads it at its start only (ADR 0018).
        """
        end = self.certificate.not_valid_after_utc
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(max(at - CLOCK_SKEW, self.certificate.not_valid_before_utc))
            .next_update(end)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(self._own_key_identifier(), critical=False)
        )
        for each in revoked:
            entry = x509.RevokedCertificateBuilder(each.serial, each.at)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self._key, hashes.SHA256())

    def _span(self, at: datetime, days: int) -> tuple[datetime, datetime]:
        """From when till when, never beyond the authority's own end."""
        own = self.certificate
        if not own.not_valid_before_utc <= at < own.not_valid_after_utc:
            msg = f"the authority is not valid at {at:%Y-%m-%d}: `suifang pki init` makes a new one"
            raise AuthorityError(msg)
        return (
            max(at - CLOCK_SKEW, own.not_valid_before_utc),
            min(_add(at, days), own.not_valid_after_utc),
        )

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePublicKey,
        valid: tuple[datetime, datetime],
        purpose: x509.ObjectIdentifier,
        alternatives: Sequence[x509.GeneralName] = (),
    ) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, self.certificate.subject, key, valid)
        for extension, critical in (
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (_usage(signs_certificates=False), True),
            (x509.ExtendedKeyUsage([purpose]), False),
            (x509.SubjectKeyIdentifier.from_public_key(key), False),
            (self._own_key_identifier(), False),
        ):
            builder = builder.add_extension(extension, critical)
        if alternatives:
            names = x509.SubjectAlternativeName(alternatives)
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def _own_key_identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())


def read_request(pem: str) -> ec.EllipticCurvePublicKey:
    """The key of a signing request whose sender has proved that it owns it.

    Nothing else of the request is looked at.

    Raises:
        AuthorityError: It is none, its key is not EC P-256, or its signature is wrong.
    """
    msg = "that is no signing request in PEM, signed by its own EC P-256 key"
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key = request.public_key()
        signed = request.is_signature_valid
    except (ValueError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise AuthorityError(msg) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, CURVE):
        raise AuthorityError(msg)
    if not signed:
        raise AuthorityError(msg)
    return key


def to_pem(certificate: x509.Certificate | x509.CertificateRevocationList) -> str:
    """As text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def fingerprint(certificate: x509.Certificate) -> bytes:
    """SHA-256 of the certificate, 32 bytes."""
    return certificate.fingerprint(hashes.SHA256())


def key_hash(key: ec.EllipticCurvePublicKey) -> bytes:
    """SHA-256 of a public key, 32 bytes: whether two requests are of one key."""
    digest = hashes.Hash(hashes.SHA256())
    digest.update(
        key.public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return digest.finalize()


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    valid: tuple[datetime, datetime],
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(valid[0])
        .not_valid_after(valid[1])
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _has_signed(authority: x509.Certificate, signed: x509.Certificate) -> bool:
    try:
        signed.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        pass
    try:
        return x509.DNSName(name)
    except ValueError as error:
        msg = f"{name!r} is neither a host name nor an address"
        raise AuthorityError(msg) from error


def _add(at: datetime, days: int) -> datetime:
    return at + timedelta(days=days)
