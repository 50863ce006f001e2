"""Readings and events are let go by functions with limits of their own; functions are nobody's."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0032"
down_revision = "0031"


def upgrade() -> None:
    """Run ``0032_narrow_rights.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0032_narrow_rights.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
