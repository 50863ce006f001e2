"""Who gets a certificate: the decisions of enrolment and renewal, and nothing of HTTP.

Invariants: one token gives one certificate, and one certificate one successor, however many ask at
once; asked again with the same key the same certificate is given again, for the answer may have
been lost on its way; whoever cannot prove who he is learns nothing but that.
"""

import base64
import binascii
from datetime import datetime
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from psycopg import AsyncConnection
from psycopg.rows import DictRow

from api.enrolment import queries
from api.enrolment.authority import Authority, fingerprint, key_hash, read_request, to_pem
from api.enrolment.queries import CertificateRow
from api.enrolment.schemas import CertificateOut, EnrolmentOrder, RenewalOrder
from api.enrolment.tokens import Token
from api.errors import EnrolmentRefusedError, NotRenewed, RenewalRefusedError
from gateway.wire.enrolment import renewal_message

GOOD_MAX: Final = 8
"""Certificates of one gateway that hold at a time: a box that renews in a loop is stopped."""


class Issuer:
    """Gives certificates in one transaction. The caller commits before the answer leaves."""

    def __init__(
        self,
        authority: Authority,
        connection: AsyncConnection[DictRow],
        *,
        at: datetime,
        days: int,
    ) -> None:
        self._authority = authority
        self._connection = connection
        self._at = at
        self._days = days

    async def enrol(self, order: EnrolmentOrder) -> CertificateOut:
        """The first certificate.

        Raises:
            EnrolmentRefusedError: The token is unknown, wrong, used for another key or over.
        """
        key = read_request(order.request)
        token = Token.parse(order.token.strip())
        known = None if token is None else await queries.lock_token(self._connection, token.id)
        if token is None or not token.matches(None if known is None else known["secret_hash"]):
            raise EnrolmentRefusedError
        if known is None or known["expires_at"] <= self._at:
            raise EnrolmentRefusedError
        if known["used_at"] is not None:
            given = await queries.find_given_for(self._connection, token.id)
            if given is None or given["key_hash"] != key_hash(key) or given["revoked_at"]:
                raise EnrolmentRefusedError
            return await self._answer(given)
        await queries.enrol(self._connection, known, at=self._at)
        return await self._give(known["gateway_id"], key, token_id=token.id)

    async def renew(self, order: RenewalOrder) -> CertificateOut:
        """The next certificate. The old one holds until it ends: the answer may be lost.

        Raises:
            RenewalRefusedError: Not signed by the key of a certificate of ours; or, told only to
                who has signed, revoked, over, renewed for another key, or too often.
        """
        print_ = bytes.fromhex(order.fingerprint)
        present = await queries.lock_certificate(self._connection, print_)
        if present is None or not _is_signed(present["certificate"], print_, order):
            raise RenewalRefusedError(NotRenewed.NOT_PROVED)
        gateway_id = present["gateway_id"]
        gateway = await queries.lock_gateway(self._connection, gateway_id)
        if present["revoked_at"] or gateway is None or gateway["revoked_at"]:
            raise RenewalRefusedError(NotRenewed.REVOKED)
        if present["expires_at"] <= self._at:
            raise RenewalRefusedError(NotRenewed.ENDED)
        key = read_request(order.request)
        successor = await queries.find_successor(self._connection, present["serial"])
        if successor is not None:
            if successor["key_hash"] != key_hash(key) or successor["revoked_at"]:
                raise RenewalRefusedError(NotRenewed.OTHER_KEY)
            return await self._answer(successor)
        if await queries.count_good(self._connection, gateway_id, at=self._at) >= GOOD_MAX:
            raise RenewalRefusedError(NotRenewed.TOO_OFTEN)
        return await self._give(gateway_id, key, renews=present["serial"])

    async def _give(
        self, gateway_id: str, key: ec.EllipticCurvePublicKey, **ground: str
    ) -> CertificateOut:
        signed = self._authority.sign_gateway(gateway_id, key, at=self._at, days=self._days)
        row = CertificateRow(
            serial=f"{signed.serial_number:x}",
            gateway_id=gateway_id,
            fingerprint=fingerprint(signed),
            key_hash=key_hash(key),
            certificate=to_pem(signed),
            issued_at=self._at,
            expires_at=signed.not_valid_after_utc,
            **ground,
        )
        await queries.insert(self._connection, row)
        return await self._answer({"gateway_id": gateway_id, "certificate": row.certificate})

    async def _answer(self, row: dict[str, Any]) -> CertificateOut:
        gateway = await queries.lock_gateway(self._connection, row["gateway_id"])
        if gateway is None:
            raise EnrolmentRefusedError
        certificate = x509.load_pem_x509_certificate(row["certificate"].encode())
        return CertificateOut(
            gateway_id=gateway["id"],
            centre_id=gateway["centre_id"],
            serial=f"{certificate.serial_number:x}",
            certificate=row["certificate"],
            chain=self._authority.chain_of(certificate),
            valid_from=certificate.not_valid_before_utc,
            valid_until=certificate.not_valid_after_utc,
        )


def _is_signed(present_pem: str, print_: bytes, order: RenewalOrder) -> bool:
    """Whether the order was signed by the key of this certificate."""
    key = x509.load_pem_x509_certificate(present_pem.encode()).public_key()
    request = x509.load_pem_x509_csr(order.request.encode())
    message = renewal_message(print_, request.public_bytes(serialization.Encoding.DER))
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        signature = base64.b64decode(order.signature, validate=True)
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except (binascii.Error, InvalidSignature):
        return False
    return True
