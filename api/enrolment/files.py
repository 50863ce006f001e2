"""Reads the authority from its two files, as an operator has made them."""

import stat
from pathlib import Path
from typing import Final

from api.enrolment.authority import Authority, AuthorityError

_OTHERS: Final = 0o077


def load_authority(certificate: Path, key: Path) -> Authority:
    """An authority from two files.

    Raises:
        AuthorityError: One cannot be read, or others may read the key.
    """
    try:
        mode = stat.S_IMODE(key.stat().st_mode)
        certificate_pem, key_pem = certificate.read_bytes(), key.read_bytes()
    except OSError as error:
        msg = f"{error.filename}: {error.strerror}. Make an authority: suifang pki init"
        raise AuthorityError(msg) from error
    if mode & _OTHERS:
        msg = f"the authority's key {key} is open to others (mode {mode:o}). Run: chmod 600 {key}"
        raise AuthorityError(msg)
    return Authority.load(certificate_pem, key_pem)
