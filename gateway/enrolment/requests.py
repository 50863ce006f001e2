"""Keys, signing requests and signatures of a box. Imports ``cryptography``: only where needed.

The key is EC P-256, made by the system's random generator, and leaves this module as PEM for the
folder's file only.
"""

import base64
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.enrolment.folder import Identity
from gateway.errors import EnrolmentError
from gateway.wire.enrolment import renewal_message

_SUBJECT: Final = "suifang-gateway"  # Counts for nothing: the token says who it is.


def make_key() -> str:
    """A new key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def make_request(key_pem: str) -> str:
    """A signing request for a key, PEM."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _SUBJECT)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    request = builder.sign(_load_key(key_pem.encode()), hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def is_same_key(first_pem: str, second_pem: bytes) -> bool:
    """Whether two files hold the same key."""
    first, second = _load_key(first_pem.encode()), _load_key(second_pem)
    return first.public_key() == second.public_key()


def sign_renewal(identity: bytes, request_pem: str) -> tuple[str, str]:
    """Prove that one owns the present certificate.

    Returns:
        Its fingerprint (hexadecimal) and the signature (base64).
    """
    print_ = x509.load_pem_x509_certificate(identity).fingerprint(hashes.SHA256())
    request = x509.load_pem_x509_csr(request_pem.encode())
    message = renewal_message(print_, request.public_bytes(serialization.Encoding.DER))
    signature = _load_key(identity).sign(message, ec.ECDSA(hashes.SHA256()))
    return print_.hex(), base64.b64encode(signature).decode()


def check_answer(certificate_pem: str, chain: str, key_pem: str, centre_id: str) -> Identity:
    """Make sure that the certificate is ours, and signed by who comes with it.

    Raises:
        EnrolmentError: It is not.
    """
    msg = "the API's answer is no certificate for this box's key: is that address Suifang's API?"
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem.encode())
        authority = x509.load_pem_x509_certificates(chain.encode())[-1]
        certificate.verify_directly_issued_by(authority)
        names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except (ValueError, TypeError, InvalidSignature) as error:
        raise EnrolmentError(msg) from error
    if certificate.public_key() != _load_key(key_pem.encode()).public_key() or len(names) != 1:
        raise EnrolmentError(msg)
    return Identity(
        gateway_id=str(names[0].value),
        centre_id=centre_id,
        serial=f"{certificate.serial_number:x}",
        valid_from=certificate.not_valid_before_utc,
        valid_until=certificate.not_valid_after_utc,
    )


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except ValueError as error:
        msg = "a key of this box cannot be read: enrol it again with a new token (--again)"
        raise EnrolmentError(msg) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        msg = "the key of this box is no EC key: enrol it again with a new token (--again)"
        raise EnrolmentError(msg)
    return key
