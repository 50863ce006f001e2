"""Which revision of the schema this program knows, by the files of its migrations.

Alembic knows it, too, and brings SQLAlchemy along: 30 MB that a process which only compares does
not need.
"""

from functools import cache
from importlib.resources import files


@cache
def newest() -> str:
    """The newest revision this program knows. Revisions compare as text."""
    versions = files("ingest.db") / "migrations" / "versions"
    found = [each.name[:4] for each in versions.iterdir() if each.name.endswith(".sql")]
    if not found:
        msg = f"no migrations under {versions}: the installation is incomplete"
        raise FileNotFoundError(msg)
    return max(found)
