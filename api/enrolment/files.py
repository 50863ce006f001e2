"""Reads the authority from its two files, as an operator has made them."""

from dataclasses import replace
from pathlib import Path

from cryptography import x509

from api.enrolment.authority import Authority, AuthorityError
from ingest.db.keyring import KeyFileError, read_secret_file


def load_authority(certificate: Path, key: Path, beside: Path | None = None) -> Authority:
    """An authority from its files.

    Args:
        certificate: Its own.
        key: Likewise, mode 0600.
        beside: Certificates of others whom boxes are to trust, too.

    Raises:
        AuthorityError: One cannot be read, or others may read the key.
    """
    try:
        certificate_pem = certificate.read_bytes()
        key_pem = read_secret_file(key, "the authority's key")
    except OSError as error:
        msg = f"{error.filename}: {error.strerror}. Make an authority: suifang pki init"
        raise AuthorityError(msg) from error
    except KeyFileError as error:
        raise AuthorityError(str(error)) from error
    authority = Authority.load(certificate_pem, key_pem)
    return authority if beside is None else replace(authority, beside=_read_beside(beside))


def _read_beside(path: Path) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(path.read_bytes()))
    except (OSError, ValueError) as error:
        msg = f"{path} holds no certificates of authorities: take their ca.pem"
        raise AuthorityError(msg) from error
