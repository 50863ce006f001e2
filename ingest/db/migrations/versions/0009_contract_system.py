"""What the contract system writes, with its history; names under a key per resident."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0009"
down_revision = "0007"


def upgrade() -> None:
    """Run ``0009_contract_system.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0009_contract_system.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
