"""Names of settings in the environment: a near miss is a mistake, anything else a stranger.

Every process reads its own prefix. ``INGEST_BROKER_PORT`` instead of ``INGEST_BROKER__PORT``
would silently leave the default in force; somebody's ``API_KEY`` is none of our business.
"""

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from typing import Final

_ALIKE: Final = 0.85  # A slip of one or two letters, or of an underscore.


def find_misspelt(
    environment: Iterable[str], prefix: str, known: Collection[str]
) -> dict[str, str]:
    """Names under ``prefix`` that no setting has but that nearly are one, and what was meant.

    Args:
        environment: Names of all variables.
        prefix: Of the process, such as ``INGEST_``.
        known: Full names of all its settings.
    """
    found = {}
    for name in sorted(environment):
        if name.startswith(prefix) and name not in known:
            meant = get_close_matches(name, known, n=1, cutoff=_ALIKE)
            if meant:
                found[name] = meant[0]
    return found
