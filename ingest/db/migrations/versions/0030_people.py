"""What figures count of a person in one row, marks of whom to fold anew, and the view of both."""

from alembic import op

from ingest.db.migrate import read_sql

revision = "0030"
down_revision = "0029"


def upgrade() -> None:
    """Run ``0030_people.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__))


def downgrade() -> None:
    """Run ``0030_people.down.sql``."""
    op.get_bind().connection.cursor().execute(read_sql(__file__, ".down.sql"))
