"""The rehearsals' own broker and databases: their own home, so that they meet no other ingest."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import sql

from deploy.embedded.sole import sole_stack
from deploy.embedded.stack import Stack
from ingest.db import migrate

_TEMPLATE: Final = "rehearsal_template"
_PREFIX: Final = "rehearsal_"
_USE: Final = "rehearsal"


@contextmanager
def own_stack(report: Callable[[str], None]) -> Iterator[Stack]:
    """The rehearsals' stack, up; stopped afterwards unless it ran before.

    Raises:
        StackError: It cannot be started, or another rehearsal of this checkout has it.
    """
    home = Stack.of_checkout().home
    with sole_stack(home / _USE, checkout=home, report=report) as stack:
        yield stack


@contextmanager
def fresh_database(stack: Stack, *, keep: bool = False) -> Iterator[str]:
    """A migrated database of one rehearsal; yields its address, drops it unless kept."""
    name = f"{_PREFIX}{secrets.token_hex(4)}"
    migrate.upgrade(stack.create_database(_TEMPLATE))  # Nothing to do but the first time.
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(_TEMPLATE)
    )
    with psycopg.connect(stack.dsn("postgres"), autocommit=True) as connection:
        connection.execute(statement)
    # A rehearsal has to survive no power cut; waiting for the disk was half of its time.
    with psycopg.connect(stack.dsn(name), autocommit=True) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET synchronous_commit = off").format(sql.Identifier(name))
        )
    try:
        yield stack.dsn(name)
    finally:
        if not keep:
            stack.drop_database(name)
