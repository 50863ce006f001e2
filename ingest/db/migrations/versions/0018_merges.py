"""Two pseudonyms that are one person: whose history is folded into whose."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    """Run ``0018_merges.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0018_merges.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
