"""TLS to the broker: which files, and the context made of them. Standard library only.

It must never send a password or a reading in clear text to another machine, trust a server whose
name was not checked, or go on without the certificate it was told to use. TLS 1.2 is the least.
"""

import ssl
import stat
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from gateway.errors import SettingsError

_IDENTITY_FILE = "identity.pem"
_AUTHORITY_FILE = "ca.pem"
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """What TLS needs. ``certificate`` may hold the key as well; without one a password is used."""

    authority: Path
    certificate: Path | None = None
    key: Path | None = None

    @classmethod
    def of_folder(cls, folder: Path) -> "TlsFiles":
        """The files that an enrolment leaves in its folder."""
        return cls(folder / _AUTHORITY_FILE, folder / _IDENTITY_FILE)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, without asking any name server."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def build_context(files: TlsFiles) -> ssl.SSLContext:
    """A context that trusts the given authority only, and checks the server's name.

    Raises:
        SettingsError: A file cannot be read, or is not what it should be.
    """
    try:
        context = ssl.create_default_context(cafile=files.authority)
    except OSError as error:
        msg = f"the authority's certificate {files.authority} cannot be used: {_reason(error)}"
        raise SettingsError(msg) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    load_certificate(context, files)
    return context


def load_certificate(context: ssl.SSLContext, files: TlsFiles) -> None:
    """Read the client certificate, again if need be: connections made from now on show it.

    Raises:
        SettingsError: It cannot be read, or the key is another one's. The context then may hold
            no usable certificate, so the next connection would be refused.
    """
    if files.certificate is None:
        return
    secret = files.key or files.certificate
    try:
        mode = secret.stat().st_mode
        context.load_cert_chain(files.certificate, files.key)
    except OSError as error:
        named = files.certificate if files.key is None else f"{files.certificate} and {files.key}"
        msg = (
            f"the gateway's certificate {named} cannot be used: {_reason(error)}."
            " Enrol it: suifang gateway enroll"
        )
        raise SettingsError(msg) from error
    if stat.S_IMODE(mode) & _OTHERS:
        msg = f"the key in {secret} is open to others (mode {mode & 0o777:o}). chmod 600 {secret}"
        raise SettingsError(msg)


def _reason(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return f"no certificate or key in PEM, or not of one pair ({error.reason})"
    return error.strerror or str(error)
