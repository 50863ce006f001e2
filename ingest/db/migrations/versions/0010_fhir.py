"""FHIR: late contexts and devices as the API may see them."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0010"
down_revision = "0008"


def upgrade() -> None:
    """Run ``0010_fhir.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0010_fhir.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
