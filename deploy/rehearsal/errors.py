"""What can go wrong in a rehearsal.

RehearsalError (Exception)   the message says what to do next
"""


class RehearsalError(Exception):
    """A rehearsal cannot go on."""
