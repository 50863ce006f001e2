"""Enrolling and renewing, step by step; each step leaves the folder good for a second run.

    key into pending.pem -> request -> POST -> answer checked -> ca.pem, identity.pem -> no pending

Asked again with the same key the API gives the same certificate, so an answer that was lost on
the way costs nothing.
"""

from typing import Any

from gateway.enrolment.client import check_address, post
from gateway.enrolment.folder import Identity, IdentityFolder
from gateway.enrolment.requests import (
    check_answer,
    is_same_key,
    make_key,
    make_request,
    sign_renewal,
)
from gateway.errors import EnrolmentError
from gateway.wire.enrolment import ENROLMENTS_PATH, RENEWALS_PATH


def enrol(
    folder: IdentityFolder, api: str, token: str, *, api_authority: str | None, again: bool = False
) -> Identity:
    """Get the first certificate for a token.

    Args:
        folder: Where the identity goes.
        api: The API's address.
        token: One-time; worthless afterwards.
        api_authority: Who signed the API's certificate, PEM; None: a public authority.
        again: Replace an identity that is there; else it is returned, and nothing is sent.

    Raises:
        EnrolmentError: It did not work out; the message says what to do.
    """
    address = check_address(api)
    folder.make()
    with folder.locked():
        present = folder.read()
        if present is not None and not again:
            return present
        folder.write_api(address, api_authority)
        key = _pending_key(folder)
        body = {"token": token, "request": make_request(key)}
        authority = folder.api_authority_file if api_authority is not None else None
        return _store(folder, post(address, ENROLMENTS_PATH, body, authority), key)


def renew(folder: IdentityFolder) -> Identity:
    """Get the next certificate, for a new key, by the present one.

    Raises:
        EnrolmentError: It did not work out; the present one goes on.
    """
    with folder.locked():
        present = folder.read()
        if present is None:
            msg = f"{folder.path} holds no enrolled identity. Run: suifang gateway enroll"
            raise EnrolmentError(msg)
        address, authority = folder.read_api()
        key = _pending_key(folder)
        request = make_request(key)
        print_, signature = sign_renewal(folder.read_secret(), request)
        body = {"fingerprint": print_, "request": request, "signature": signature}
        return _store(folder, post(address, RENEWALS_PATH, body, authority), key)


def _pending_key(folder: IdentityFolder) -> str:
    """The key of a run that was cut short, unless its certificate is in force; else a new one."""
    key = folder.read_pending()
    if key is not None and folder.read() is not None and is_same_key(key, folder.read_secret()):
        key = None
    if key is None:
        key = make_key()
        folder.write_pending(key)
    return key


def _store(folder: IdentityFolder, answer: dict[str, Any], key: str) -> Identity:
    try:
        certificate, centre = str(answer["certificate"]), str(answer["centre_id"])
        chain = "".join(map(str, answer["chain"]))
    except (KeyError, TypeError) as error:
        msg = "the API's answer holds no certificate: is that the address of Suifang's API?"
        raise EnrolmentError(msg) from error
    identity = check_answer(certificate, chain, key, centre)
    folder.write_identity(identity, certificate, key, chain)
    return identity
