"""Alembic's entry: one connection, one transaction, an advisory lock against a second one."""

import psycopg
from alembic import context
from sqlalchemy import create_engine, pool

_LOCK = 0x5F1FA6  # Any number of ours; held until the transaction ends.

conninfo = context.config.attributes["conninfo"]
engine = create_engine(
    "postgresql+psycopg://", creator=lambda: psycopg.connect(conninfo), poolclass=pool.NullPool
)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        context.run_migrations()
