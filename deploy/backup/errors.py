"""What goes wrong with backups. One error: every caller says it and ends."""


class BackupError(Exception):
    """A backup cannot be taken, found, or restored; its words say what to do."""
