"""Promise: an authority takes over from another one by renewals alone, and no box is visited.

A real API, a real broker and a box's own commands, through all steps of docs/rotation.md. Only the
renewals are hurried.
"""

import asyncio
import os
import shutil
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509

from deploy.embedded.stack import Stack
from deploy.pki.folder import AuthorityFolder
from ingest.db.connections import Connection
from tests.certificates import a_context
from tests.fix_db import Database
from tests.integration.api_processes import Api, an_api
from tests.integration.backup_bench import running
from tests.integration.enrolment_bench import a_token, run
from tests.integration.test_broker_tls import is_refused

NAMES = ("localhost", "127.0.0.1")


@pytest.fixture
def own_stack(tmp_path: Path) -> Iterator[Stack]:
    """A broker of its own: what it trusts is changed."""
    with running(tmp_path) as installation:
        yield installation.stack


@dataclass
class Operator:
    """Who replaces the authority."""

    stack: Stack
    database: Database
    old: AuthorityFolder
    new: AuthorityFolder

    @property
    def tls(self) -> Path:
        """What the broker reads."""
        return self.stack._layout().root / "broker" / "conf" / "tls"

    def an_api(
        self, signs: AuthorityFolder, beside: AuthorityFolder | None
    ) -> AbstractAsyncContextManager[Api]:
        """One that gives certificates."""
        settings = {"API_CA_FILE": str(signs.certificate), "API_CA_KEY_FILE": str(signs.key)}
        if beside is not None:
            settings["API_CA_BESIDE_FILE"] = str(beside.certificate)
        return an_api(self.database, **settings)

    def have_the_broker_trust(self, *authorities: AuthorityFolder) -> None:
        """Their certificates and their revocation lists, one behind the other; the newest first.

        The private stack writes what its broker trusts from its own folder at each start.
        """
        lists = []
        for each in authorities:
            output = each.folder / "crl.pem"
            where = ("--directory", each.folder, "--output", output)
            self.told("pki", "crl", *where, "--database", self.database.dsn)
            lists.append(output.read_text())
        owner = (self.tls / "server.key").stat()
        trusted = "".join(each.certificate.read_text() for each in authorities)
        self.stack.authority.certificate.write_text(trusted)
        self.stack.authority.key.write_bytes(authorities[0].key.read_bytes())
        (self.tls / "crl.pem").write_text("".join(lists))
        for path in self.tls.iterdir():
            os.chown(path, owner.st_uid, owner.st_gid)
        self.stack.stop("broker")
        self.stack.start("broker")

    def give_the_broker_a_certificate_of(self, authority: AuthorityFolder) -> None:
        """And its key."""
        owner = (self.tls / "server.key").stat()
        where = ("--directory", authority.folder, "--output", self.tls)
        self.told("pki", "server", *NAMES, *where)
        os.chown(self.tls / "server.key", owner.st_uid, owner.st_gid)

    @staticmethod
    def told(*arguments: str | Path, said: str = "") -> None:
        """Run a command that must work."""
        done = run(*arguments, said=said)
        assert done.returncode == 0, done.stderr


async def enrol(api: Api, connection: Connection, gateway: str, folder: Path) -> Path:
    """A new box; its identity's folder."""
    address = str(api.client.base_url).rstrip("/")
    arguments = ("gateway", "enroll", "--api", address, "--directory", folder / gateway)
    token = await a_token(connection, gateway)
    await asyncio.to_thread(Operator.told, *arguments, said=token + "\n")
    return folder / gateway


async def renew(api: Api, box: Path) -> int:
    """Hurry a renewal; how many authorities the box trusts then."""
    at = box / "api.json"
    text = at.read_text()
    known = text.split('"')[3]
    at.write_text(text.replace(known, str(api.client.base_url).rstrip("/")))
    await asyncio.to_thread(Operator.told, "gateway", "renew", "--directory", box)
    return len(x509.load_pem_x509_certificates((box / "ca.pem").read_bytes()))


async def comes_in(stack: Stack, box: Path) -> bool:
    """Whether box and broker believe each other."""
    return not await is_refused(stack, a_context(box))


@pytest.mark.slow
async def test_an_authority_takes_over_and_no_box_is_visited(
    own_stack: Stack, database: Database, connection: Connection, tmp_path: Path
) -> None:
    await connection.execute("INSERT INTO centre (id, name) VALUES ('east', 'East')")
    new = AuthorityFolder(tmp_path / "new")
    old = AuthorityFolder(tmp_path / "old")
    await asyncio.to_thread(shutil.copytree, own_stack.authority.folder, old.folder)
    operator = Operator(own_stack, database, old, new)
    operator.told("pki", "init", "--directory", new.folder, "--name", "Suifang 2")

    async with operator.an_api(operator.old, None) as api:
        box = await enrol(api, connection, "gw-1", tmp_path)
        left_out = await enrol(api, connection, "gw-2", tmp_path)
        assert await comes_in(own_stack, box)
    async with operator.an_api(operator.old, new) as api:  # 1: boxes learn of the new one.
        assert await renew(api, box) == 2
        assert await comes_in(own_stack, box)
        operator.give_the_broker_a_certificate_of(new)  # 2: so does the broker, and shows it.
        operator.have_the_broker_trust(new, operator.old)
        assert await comes_in(own_stack, box)
        assert not await comes_in(own_stack, left_out)  # It has not renewed: wait for all.
    async with operator.an_api(new, operator.old) as api:  # 3: the new one signs.
        assert await renew(api, box) == 2
        assert await comes_in(own_stack, box)
    operator.have_the_broker_trust(new)  # 4: the old one is gone.
    async with operator.an_api(new, None) as api:
        assert await comes_in(own_stack, box)
        assert await renew(api, box) == 1
        assert await comes_in(own_stack, box)

    assert await is_refused(own_stack, a_context(left_out, authority=new.certificate))
