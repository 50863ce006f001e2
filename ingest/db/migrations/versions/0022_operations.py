"""What gateways say of themselves, the flow in samples, and a role for operators."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0022"
down_revision = "0021"


def upgrade() -> None:
    """Run ``0022_operations.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0022_operations.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
