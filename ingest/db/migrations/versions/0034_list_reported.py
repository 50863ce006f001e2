"""A list of plain readings decides once whom it may show."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0034"
down_revision = "0033"


def upgrade() -> None:
    """Run ``0034_list_reported.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0034_list_reported.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
