"""Readings of other systems: by which identifier they came, and the role that stores them."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    """Run ``0016_fhir_intake.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0016_fhir_intake.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
