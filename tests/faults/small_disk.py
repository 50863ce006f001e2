"""A disk that can be filled: a small tmpfs that holds the run's database, as a tablespace.

Mounting needs privileges. Without them ``mounted`` stays false and the fault raises PostgreSQL's
own ``disk_full`` from a trigger instead (see ``database_faults``).
"""

import os
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Final

from deploy.embedded.folders import Account

_SIZE: Final = "160m"
_CHUNKS_BYTES: Final = (1_048_576, 4_096)


class SmallDisk:
    """One folder, with or without a file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @property
    def mounted(self) -> bool:
        """Whether there is a small disk."""
        return self.folder.is_mount()

    @property
    def tablespace(self) -> Path:
        """Where PostgreSQL may write."""
        return self.folder / "tablespace"

    def mount(self, account: Account) -> bool:
        """Mount it for the services' account. False where we may not."""
        self.unmount()
        self.folder.mkdir(mode=0o711, exist_ok=True)
        if os.geteuid() != 0:
            return False
        command = [
            "mount",
            "-t",
            "tmpfs",
            "-o",
            f"size={_SIZE},mode=711",
            "tmpfs",
            str(self.folder),
        ]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return False
        self.tablespace.mkdir(mode=0o700)
        os.chown(self.tablespace, account.uid, account.gid)
        return True

    def unmount(self) -> None:
        """Take it away, with all that is on it. Nobody may use it any longer."""
        if self.mounted:
            subprocess.run(["umount", self.folder], capture_output=True, check=True)
        with suppress(FileNotFoundError):
            self.folder.rmdir()

    def fill(self) -> None:
        """Leave no room."""
        file = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            for size in _CHUNKS_BYTES:
                with suppress(OSError):
                    while os.write(file, bytes(size)) == size:
                        pass
        finally:
            os.close(file)

    def free(self) -> None:
        """Make room again."""
        self._ballast.unlink(missing_ok=True)
