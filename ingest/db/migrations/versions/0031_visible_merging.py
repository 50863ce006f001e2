"""How often and when somebody was merged or parted, for versions that never go back."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0031"
down_revision = "0030"


def upgrade() -> None:
    """Run ``0031_visible_merging.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0031_visible_merging.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
