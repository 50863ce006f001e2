"""Rows a second of bulk, residents with names and ID numbers sealed, and contracts; its memory.

    python -m tests.benchmarks.registry_speed --rows 100000

A real API process and the private stack's database, on the same cores as the sender. Three times
the same register: all new, all the same again, and all to another team with names left out; then a
contract for everybody.
"""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import httpx
from stdnum.cn.ric import calc_check_digit

from deploy.embedded.stack import Stack
from gateway.wire.pseudonyms import pseudonym
from ingest.db import migrate
from ingest.db.keyring import add_key

_KEY: Final = b"p" * 32
_FIRST_DAY: Final = date(1930, 1, 1)
_ROWS_OF_CHUNK: Final = 500
_API: Final = "from api.cli import app; app()"


def make_number(row: int) -> str:
    """A number that checks, of a district that does not exist."""
    born = _FIRST_DAY + timedelta(days=row // 1_000)
    start = f"990000{born:%Y%m%d}{row % 1_000:03}"
    return start + calc_check_digit(start + "0")


def make_rows(rows: int, team: str, *, named: bool) -> Iterator[bytes]:
    """Lines of residents, in chunks."""
    lines: list[str] = []
    for row in range(rows):
        number = make_number(row)
        resident: dict[str, Any] = {
            "id": pseudonym(_KEY, number),
            "team_id": team,
            "birth_date": f"{number[6:10]}-{number[10:12]}-{number[12:14]}",
            "sex": "male" if int(number[16]) % 2 else "female",
            "enrolled_on": "2026-01-05",
            "conditions": [{"condition": "hypertension", "since": "2020-01-01"}],
        }
        if named:
            resident["personal"] = {"name": f"某某{row}", "id_number": number}
        lines.append(json.dumps(resident))
        if len(lines) == _ROWS_OF_CHUNK or row == rows - 1:
            yield ("\n".join(lines) + "\n").encode()
            lines.clear()


def make_contracts(rows: int) -> Iterator[bytes]:
    """Lines of contracts, one for each resident, in chunks."""
    for first in range(0, rows, _ROWS_OF_CHUNK):
        contracts = (
            {
                "id": f"2026-{row:07}",
                "resident_id": pseudonym(_KEY, make_number(row)),
                "package_id": "basic",
                "since": "2026-01-05",
                "signed_on": "2026-01-04",
            }
            for row in range(first, min(first + _ROWS_OF_CHUNK, rows))
        )
        yield "".join(f"{json.dumps(contract)}\n" for contract in contracts).encode()


async def send(
    client: httpx.AsyncClient, chunks: list[bytes], pid: int, database: str, of: str = "residents"
) -> dict[str, Any]:
    """One pass; its counts, how long it took, and what a row costs where."""

    async def stream() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    begun, api_s, database_s = time.monotonic(), cpu_s(pid), database_cpu_s(database)
    response = await client.post(
        f"/v1/{of}/bulk",
        content=stream(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    took_s = time.monotonic() - begun
    response.raise_for_status()
    counts: dict[str, Any] = json.loads(response.text.rstrip().rpartition("\n")[2])
    rows = counts["lines"]
    return {
        **counts,
        "seconds": round(took_s, 2),
        "rows_per_s": round(rows / took_s),
        "api_cpu_us_per_row": round((cpu_s(pid) - api_s) / rows * 1e6),
        "database_cpu_us_per_row": round((database_cpu_s(database) - database_s) / rows * 1e6),
    }


def cpu_s(pid: int) -> float:
    """Processor time of a process so far: what counts where the machine is shared."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def database_cpu_s(name: str) -> float:
    """Processor time of the server's processes that serve this database now."""
    found = 0.0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text("utf-8", errors="replace")
            if command.startswith("postgres:") and f" {name} " in command:
                found += cpu_s(int(folder.name))
        except OSError:
            continue  # It ended meanwhile.
    return found


def peak_bytes(pid: int) -> int:
    """The most memory a process ever held."""
    for line in Path(f"/proc/{pid}/status").read_text("utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


async def measure(dsn: str, name: str, rows: int, folder: Path) -> dict[str, Any]:
    """Run an API process against a fresh database, and send the register three times."""
    key_file, pseudonym_key = folder / "keys", folder / "pseudonym-key"
    add_key(key_file, "bench")
    pseudonym_key.touch(mode=0o600)
    pseudonym_key.write_bytes(_KEY)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _API, "--port", "0", "--json"),
        env={
            **os.environ,
            "API_DB_DSN": dsn,
            "API_AUTHENTICATION": "off",
            "API_KEY_FILE": str(key_file),
            "API_PSEUDONYM_KEY_FILE": str(pseudonym_key),
        },
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        address = json.loads(await process.stdout.readline())["address"]
        async with httpx.AsyncClient(base_url=address, timeout=600) as client:
            for path, body in (
                ("centres/c", {"name": "C"}),
                ("teams/t1", {"name": "T1", "centre_id": "c"}),
                ("teams/t2", {"name": "T2", "centre_id": "c"}),
                ("packages/basic", {"name": "基本"}),
            ):
                (await client.put(f"/v1/{path}", json=body)).raise_for_status()
            idle = peak_bytes(process.pid)
            named = list(make_rows(rows, "t1", named=True))
            moved = list(make_rows(rows, "t2", named=False))
            signed = list(make_contracts(rows))
            return {
                "all new": await send(client, named, process.pid, name),
                "the same again": await send(client, named, process.pid, name),
                "to another team": await send(client, moved, process.pid, name),
                "contracts": await send(client, signed, process.pid, name, "contracts"),
                "contracts again": await send(client, signed, process.pid, name, "contracts"),
                "bytes_sent": sum(map(len, named)),
                "peak_bytes_before": idle,
                "peak_bytes": peak_bytes(process.pid),
            }
    finally:
        process.terminate()
        await process.wait()


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    checkout = Stack.of_checkout()
    os.environ["SUIFANG_PACKAGES"] = str(checkout.fetch())
    stack = Stack.of_checkout(checkout.home / "test")
    stack.up()
    name = f"bench_{os.getpid()}"
    dsn = stack.create_database(name)
    try:
        migrate.upgrade(dsn)
        with TemporaryDirectory() as folder:
            print(json.dumps(asyncio.run(measure(dsn, name, rows, Path(folder))), indent=1))  # noqa: T201
    finally:
        stack.drop_database(name)


if __name__ == "__main__":
    main()
