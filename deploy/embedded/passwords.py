"""Passwords made by us: once, random, in a file of mode 0600, never on a command line."""

import json
import secrets

from deploy.embedded.errors import NotReadyError
from deploy.embedded.folders import Layout, read_object, write_private


def recall_or_make_password(layout: Layout, name: str) -> str:
    """A remembered password, made now if need be. Call with the lock held."""
    known = read_object(layout.secrets_file)
    if name not in known:
        known[name] = secrets.token_urlsafe(24)  # Fit for an address as it is.
        write_private(layout.secrets_file, json.dumps(known))
    return str(known[name])


def recall_password(layout: Layout, name: str) -> str:
    """A password made earlier. Raises ``NotReadyError`` when the stack was never started."""
    known = read_object(layout.secrets_file).get(name)
    if known is None:
        what = "The stack was never started to its end"
        raise NotReadyError(what)
    return str(known)
