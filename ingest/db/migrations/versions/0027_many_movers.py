"""Many residents who move at once are followed in the time of as many single ones."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0027"
down_revision = "0026"


def upgrade() -> None:
    """Run ``0027_many_movers.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0027_many_movers.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
