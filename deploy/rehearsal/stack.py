"""The rehearsals' own broker and databases: their own home, so that they meet no other ingest."""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql

from deploy.embedded.stack import Stack
from deploy.rehearsal.errors import RehearsalError
from ingest.db import migrate

_TEMPLATE: Final = "rehearsal_template"
_PREFIX: Final = "rehearsal_"
_USE: Final = "rehearsal"


@contextmanager
def own_stack(report: Callable[[str], None]) -> Iterator[Stack]:
    """The rehearsals' stack, up; stopped afterwards unless it ran before.

    Raises:
        RehearsalError: Another rehearsal of this checkout has it.
    """
    checkout = Stack.of_checkout()
    os.environ["SUIFANG_PACKAGES"] = str(checkout.fetch(report))
    stack = Stack.of_checkout(checkout.home / _USE)
    with _only_one(checkout.home / f"{_USE}.lock"):
        was_up = stack.status().running
        try:
            stack.up(report)
            yield stack
        finally:
            if not was_up:
                stack.down(report)


@contextmanager
def _only_one(file: Path) -> Iterator[None]:
    """Two at once would take each other's readings: one broker, one subscription."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            msg = "another rehearsal runs in this checkout; wait for it, or stop it with Ctrl-C"
            raise RehearsalError(msg) from None
        yield


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
