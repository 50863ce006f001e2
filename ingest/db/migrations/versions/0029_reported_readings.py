"""A short way to the readings of a resident whom nobody claimed one for or merged."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0029"
down_revision = "0028"


def upgrade() -> None:
    """Run ``0029_reported_readings.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0029_reported_readings.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
