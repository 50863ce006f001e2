"""What the private broker needs for TLS: an authority of the stack's own, made once.

The authority's folder is the caller's alone; the broker gets copies of what it must read.
Invariants: the authority is never replaced, so that what trusted it goes on trusting it; a server
certificate that ends soon is made anew at a start; there always is a revocation list, for without
one the broker would refuse everybody.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509

from api.enrolment.authority import to_pem
from deploy.embedded.folders import Layout, make_folder, write_private
from deploy.embedded.ports import LOOPBACK
from deploy.pki.folder import AuthorityFolder

PORT_NAME: Final = "broker-tls"
_SHIPPED: Final = Path(__file__).parents[1] / "mosquitto" / "tls.conf"
_SHIPPED_FOLDER: Final = "/mosquitto/tls"
_SHIPPED_LISTENER: Final = "listener 8883"
_NAMES: Final = ("localhost", LOOPBACK)
_LEFT_MIN: Final = timedelta(days=60)  # A stack that runs for longer is somebody's deployment.


class BrokerTls:
    """The files of the TLS listener. Call what writes them with the stack's lock held."""

    def __init__(self, layout: Layout, folder: Path) -> None:
        self._layout = layout
        self._folder = folder
        self._crl = folder / "crl.pem"
        self.authority = AuthorityFolder(layout.root / "pki")

    def make(self, at: datetime) -> None:
        """Make what is missing, or ends soon."""
        make_folder(self._folder, self._layout.account, services=True)
        if not self.authority.exists:
            self.authority.make("Suifang private stack", at=at)
        self._write("ca.pem", self.authority.certificate.read_text("ascii"))
        if not self._is_server_good(at):
            made = self.authority.make_server(_NAMES, at=at)
            self._write("server.key", made.key)
            self._write("server.pem", made.certificate)
        if not self._crl.exists():
            self.set_revocations(to_pem(self.authority.load().sign_crl((), number=0, at=at)))

    def set_revocations(self, crl: str) -> None:
        """Write the revocation list; the broker reads it at its next start.

        Raises:
            ValueError: It is none. The broker would not start with it.
        """
        x509.load_pem_x509_crl(crl.encode())
        self._write("crl.pem", crl)

    def describe_listener(self, port: int) -> str:
        """The shipped configuration, on this port and with these files."""
        text = _SHIPPED.read_text("utf-8").replace(_SHIPPED_FOLDER, str(self._folder))
        return text.replace(_SHIPPED_LISTENER, f"listener {port} {LOOPBACK}")

    def _is_server_good(self, at: datetime) -> bool:
        try:
            pem = (self._folder / "server.pem").read_bytes()
        except FileNotFoundError:
            return False
        served = x509.load_pem_x509_certificate(pem)
        return (
            served.issuer == self.authority.load().certificate.subject
            and served.not_valid_after_utc - at > _LEFT_MIN
        )

    def _write(self, name: str, text: str) -> None:
        write_private(self._folder / name, text, self._layout.account)
