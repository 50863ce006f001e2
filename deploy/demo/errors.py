"""Errors of the demo.

DemoError    something the reader can act on: one line and exit 1
"""


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do next."""
