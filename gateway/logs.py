"""Where the log goes: to stderr, which systemd keeps, or to a file that is put aside when large.

Lines hold counts, ids of readings and batches, codes and devices; never a resident, a card, a
value or a line of a terminal. A test runs the gateway on all of those and greps what it says.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from typing import Final

from gateway.errors import SettingsError
from gateway.settings import GatewaySettings

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class LogRotation:
    """Puts the log file aside on demand; without a file there is nothing to do."""

    def __init__(self, handler: RotatingFileHandler | None = None) -> None:
        self._handler = handler

    def rotate(self) -> int | None:
        """Begin a new file; how many old ones are kept, None when there is no file.

        Raises:
            OSError: The files cannot be renamed.
        """
        handler = self._handler
        if handler is None:
            return None
        handler.acquire()
        try:
            handler.doRollover()
        finally:
            handler.release()
        return handler.backupCount


@contextmanager
def open_log(settings: GatewaySettings) -> Iterator[LogRotation]:
    """Send the log of this process where the settings say, for the length of the block.

    Raises:
        SettingsError: The log file cannot be opened.
    """
    root = logging.getLogger()
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    rotation = LogRotation()
    if settings.log_file is not None:
        handler, rotation = _open_file(settings)
    handler.setFormatter(logging.Formatter(_FORMAT))
    root.addHandler(handler)
    before = root.level
    root.setLevel(logging.INFO)
    try:
        yield rotation
    finally:
        root.setLevel(before)
        root.removeHandler(handler)
        handler.close()


def _open_file(settings: GatewaySettings) -> tuple[RotatingFileHandler, LogRotation]:
    path = settings.log_file
    assert path is not None  # noqa: S101 - asked before
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o640)
        handler = RotatingFileHandler(
            path,
            maxBytes=settings.log_bytes_max,
            backupCount=settings.log_files_max - 1,
            encoding="utf-8",
            errors="backslashreplace",
        )
    except OSError as error:
        msg = f"log file {path} cannot be opened: {error.strerror}. Set GATEWAY_LOG_FILE"
        raise SettingsError(msg) from error
    return handler, LogRotation(handler)
