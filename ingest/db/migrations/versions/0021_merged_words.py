"""Merges are refused where a word about the one would decide on the other: is it judged?"""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0021"
down_revision = "0020"


def upgrade() -> None:
    """Run ``0021_merged_words.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0021_merged_words.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
