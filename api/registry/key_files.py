"""The deployment's keys, as the API holds them: read from files, and again when those change."""

from dataclasses import dataclass, field
from pathlib import Path

from api.errors import NoKeyError
from ingest.db.keyring import KeyFileError, Keyring, read_keyring, read_secret_file
from ingest.db.personal import PersonalSealing


@dataclass(slots=True)
class KeyFiles:
    """The key file and the pseudonym keys, read again when they change."""

    key_file: Path | None
    pseudonym_key_file: Path | None
    pseudonym_key_files_before: tuple[Path, ...] = ()
    _keyring: Keyring | None = field(default=None, repr=False)
    _seen: tuple[int, int] | None = None
    _pseudonym_keys: tuple[bytes, ...] = field(default=(), repr=False)
    _seen_pseudonym_keys: tuple[tuple[int, int], ...] = ()

    def keyring(self) -> Keyring:
        """The keys in force. Raises ``NoKeyError``."""
        if self.key_file is None:
            msg = "names are not kept here: API_KEY_FILE is not set"
            raise NoKeyError(msg)
        try:
            status = self.key_file.stat()
            seen = (status.st_mtime_ns, status.st_ino)
            if self._keyring is None or seen != self._seen:
                self._keyring, self._seen = read_keyring(self.key_file), seen
        except (OSError, KeyFileError) as error:
            msg = "the key file cannot be used; the operator runs: suifang keys status"
            raise NoKeyError(msg) from error
        return self._keyring

    def pseudonym_keys(self) -> tuple[bytes, ...]:
        """The deployment's pseudonym keys, the one in force first; none: ids are not checked.

        Raises:
            NoKeyError: One of the files cannot be used.
        """
        if self.pseudonym_key_file is None:
            return ()
        files = (self.pseudonym_key_file, *self.pseudonym_key_files_before)
        try:
            seen = tuple((status.st_mtime_ns, status.st_ino) for status in map(Path.stat, files))
            if seen != self._seen_pseudonym_keys:
                found = [read_secret_file(file, "pseudonym key").rstrip(b"\r\n") for file in files]
                self._pseudonym_keys, self._seen_pseudonym_keys = tuple(found), seen
        except (OSError, KeyFileError) as error:
            msg = "the pseudonym key cannot be used; the operator sets its file's mode to 600"
            raise NoKeyError(msg) from error
        return self._pseudonym_keys

    def sealing(self) -> PersonalSealing | None:
        """For one transaction; None: this API keeps no names."""
        if self.key_file is None:
            return None
        return PersonalSealing(self.keyring(), self.pseudonym_keys())
