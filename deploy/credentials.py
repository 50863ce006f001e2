"""Settings that come as files: one for each, named as its variable, in ``CREDENTIALS_DIRECTORY``.

systemd names that folder itself (``LoadCredential=``); compose and Kubernetes mount their secrets
somewhere and say where. What is in the environment already wins. A file with another name is left
alone: keys and certificates are named by settings of their own.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_OURS: Final = re.compile(
    r"(SUIFANG|COMMAND|GATEWAY|INGEST|JUDGE|DISPATCHER|DELIVER|NOTIFY|API)_[A-Z0-9_]+"
)
_BYTES_MAX: Final = 65_536


class CredentialError(Exception):
    """A file of the folder cannot be a setting; its words say which and why."""


def read_credentials(environment: Mapping[str, str]) -> dict[str, str]:
    """Settings out of the files, without those that the environment has.

    Args:
        environment: Of the process.

    Raises:
        CredentialError: A file cannot be read, or is no line of text.
    """
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return {}
    found = {}
    for path in sorted(Path(folder).glob("*")):
        if not _OURS.fullmatch(path.name) or path.name in environment:
            continue
        try:
            if path.stat().st_size > _BYTES_MAX:
                msg = f"{path} is too large for a setting"
                raise CredentialError(msg)
            text = path.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            msg = f"{path} cannot be read as a setting ({error})"
            raise CredentialError(msg) from error
        if "\n" in text or "\0" in text or not text:
            msg = f"{path} must hold one line, the value of {path.name}"
            raise CredentialError(msg)
        found[path.name] = text
    return found
