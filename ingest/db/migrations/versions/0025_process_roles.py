"""A role for each process: it can do its work, and nothing else."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0025"
down_revision = "0024"


def upgrade() -> None:
    """Run ``0025_process_roles.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0025_process_roles.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
