"""Tokens, certificates and revocation of gateways."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Run ``0006_enrolment.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0006_enrolment.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
