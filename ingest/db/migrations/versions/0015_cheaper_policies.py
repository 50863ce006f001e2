"""Functions that policies and the audit log call often, with plans that are kept."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Run ``0015_cheaper_policies.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0015_cheaper_policies.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
