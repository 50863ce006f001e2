"""Databases: a migrated template made once a run, and a fresh clone for every test."""

import os
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from deploy.embedded.stack import Stack
from ingest.db import migrate
from ingest.db.connections import Connection, connect


@dataclass(frozen=True, slots=True)
class Database:
    """One database with the schema, for one test."""

    name: str
    dsn: str
    stack: Stack | None = None

    def dsn_of(self, process: str) -> str:
        """Where a process of ours logs in, with its own rights and no others."""
        assert self.stack is not None
        return self.stack.process_dsn(process, self.name)


@pytest.fixture(scope="session")
def template_database(stack: Stack) -> Iterator[str]:
    """A migrated database nobody writes to."""
    name = f"test_{os.getpid()}_template"
    migrate.upgrade(stack.create_database(name))
    yield name
    stack.drop_database(name)


@contextmanager
def cloned(stack: Stack, template: str) -> Iterator[Database]:
    """A fresh database with the schema; dropped afterwards."""
    name = f"test_{os.getpid()}_{secrets.token_hex(4)}"
    statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(template)
    )
    with psycopg.connect(stack.dsn("postgres"), autocommit=True) as connection:
        connection.execute(statement)
    yield Database(name, stack.dsn(name), stack)
    stack.drop_database(name)


@pytest.fixture
def database(stack: Stack, template_database: str) -> Iterator[Database]:
    """A fresh database with the schema; dropped afterwards."""
    with cloned(stack, template_database) as clone:
        yield clone


@pytest_asyncio.fixture
async def connection(database: Database) -> AsyncIterator[Connection]:
    """An autocommit connection to the test's database."""
    async with await connect(
        database.dsn, application_name="test", autocommit=True
    ) as open_connection:
        yield open_connection
