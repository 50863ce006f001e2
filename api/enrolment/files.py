"""Reads the authority from its two files, as an operator has made them."""

from pathlib import Path

from api.enrolment.authority import Authority, AuthorityError
from ingest.db.keyring import KeyFileError, read_secret_file


def load_authority(certificate: Path, key: Path) -> Authority:
    """An authority from two files.

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
    return Authority.load(certificate_pem, key_pem)
