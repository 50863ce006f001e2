"""A national number is nowhere once its line was read: not on disk, in a log, a reply or on MQTT.

The real gateway, killed and started again, on the real broker through a wire that keeps every
byte. What is searched for is the number, in whatever dress a program might put it into.
"""

import asyncio
import base64
import ctypes
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

from gateway.identity import pseudonym
from tests.fix_processes import Processes

# Area code 990000: nobody's. The last two fail the check.
_RIGHT: Final = ("99000019490101001X", "990000198002290036", "990000200002291143")
_WRONG: Final = ("990000194901010010", "990000198002290037")
_FULL_WIDTH: Final = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")
_KEY: Final = b"k" * 32
_GET_DUMPABLE: Final = 3  # Source: linux/prctl.h.


def _lines() -> Iterator[bytes]:
    """Every way in which a terminal may say a number, right and wrong."""
    for number in (*_RIGHT, *_WRONG):
        for written in (number, number.lower(), f" {number}", number.translate(_FULL_WIDTH)):
            yield _json(session="open", card_number=written)
            yield _json(kind="glucose", device_id="m", glucose=7, unit="mmol/L", measured_at=None)
            yield _json(kind="glucose", device_id="m", card_number=written)
        escaped = "".join(f"\\u{ord(character):04x}" for character in number)
        yield b'{"kind":"glucose","card_number":"%s"}' % escaped.encode()
        yield b'{"kind":"glucose","note":"%s"}' % escaped.encode()
        yield _json(session="open", card_number=number, document="library_card")
        yield _json(session="open", card_number=number, document=number)
        yield _json(session=number)
        yield _json(session="open", **{number: 1})
        yield b'{"session":"open","card_number":"%s"' % number.encode()
        yield b'{"session":"open","card_number":%s' % number.encode()
        yield b"%s" % number.encode()
        yield _json(kind="glucose", card_number=number, note="x" * 4_050)
        yield _json(kind="glucose", card_number=number, note="x" * 9_000)
    for number in _RIGHT:  # Where it does not belong; a wrong one is nobody's, and just digits.
        yield _json(kind="glucose", resident_id=number)
        yield _json(kind="glucose", note={"said": [f"ID {number}!"]})
        yield _json(kind="glucose", **{f"of {number}": 1})
        yield _json(kind="glucose", card_number="SYN-1", note=number.translate(_FULL_WIDTH))


def _json(**fields: object) -> bytes:
    return json.dumps(fields, ensure_ascii=False).encode()


def _dresses(number: str) -> Iterator[bytes]:
    """The number as bytes of many kinds, and what an unkeyed hash makes of it."""
    for text in {number, number.lower(), number[:17], number[6:17], number.translate(_FULL_WIDTH)}:
        for shown in (text, text[::-1]):
            plain = shown.encode()
            yield from (plain, shown.encode("utf-16-le"), shown.encode("utf-16-be"))
            yield from (
                shown.encode("utf-32-le"),
                plain.hex().encode(),
                plain.hex().upper().encode(),
            )
            for before in range(3):  # Inside a longer text, too: without the ends that may differ.
                yield base64.b64encode(b"x" * before + plain)[4:-4]
    for text in (number, number.lower(), f" {number}"):
        for name in sorted(hashlib.algorithms_guaranteed):
            if not name.startswith("shake"):
                yield from _digests(
                    hashlib.new(name, text.encode(), usedforsecurity=False).digest()
                )


def _digests(digest: bytes) -> Iterator[bytes]:
    yield from (digest, digest.hex().encode(), digest.hex().upper().encode())
    yield base64.b64encode(digest)


class Wire:
    """Between gateway and broker; keeps what passes."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self.seen = bytearray()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[int]:
        """Listen on a free port."""
        server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, beyond = await asyncio.open_connection(self._host, self._port)
        with suppress(ConnectionError):
            await asyncio.gather(self._pass_on(reader, beyond), self._pass_on(there, writer))

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            self.seen += data
            writer.write(data)
            await writer.drain()
        writer.close()


async def _say(address: str, lines: list[bytes], *, cut: bytes = b"") -> list[dict[str, Any]]:
    """Say lines and hear an answer to each; at last hang up in the middle of one."""
    host, port = address.rsplit(":", 1)
    reader, writer = await asyncio.open_connection(host, int(port))
    replies = []
    for line in lines:
        writer.write(line + b"\n")
        async with asyncio.timeout(20):
            replies.append(json.loads(await reader.readline()))
    writer.write(cut)
    await writer.drain()
    writer.close()
    return replies


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_national_number_is_nowhere_afterwards(processes: Processes) -> None:
    wire = Wire(processes.broker.host, processes.broker.port)
    lines = list(_lines())
    told: list[Any] = []
    kept: list[dict[str, bytes]] = []
    people = {pseudonym(_KEY, number).encode() for number in _RIGHT}
    async with wire.open() as port:
        settings = {"GATEWAY_BROKER_PORT": str(port), "GATEWAY_BATCHES_UNRECEIPTED_MAX": "64"}
        for _ in range(2):
            address = await asyncio.to_thread(
                processes.start_gateway, "gw-cards", "east", **settings
            )
            told += await _say(address, lines, cut=b'{"card_number":"' + _RIGHT[0].encode())
            kept.append(await asyncio.to_thread(_contents, processes.folder))
            async with asyncio.timeout(20):
                while not all(person in wire.seen for person in people):  # noqa: ASYNC110 - no event
                    await asyncio.sleep(0.05)
            processes.running[-1].kill()
            await asyncio.to_thread(processes.running[-1].wait, 20)
            kept.append(await asyncio.to_thread(_contents, processes.folder))

    spools = [name for name in kept[0] if "gw-cards.spool" in name]
    assert any(name.endswith("-wal") for name in spools)
    everything = {
        "wire": bytes(wire.seen),
        "replies": json.dumps(told, ensure_ascii=False).encode(),
        **{f"{at} {name}": data for at, each in enumerate(kept) for name, data in each.items()},
    }
    for person in people:
        assert any(person in data for name, data in everything.items() if "spool" in name)
    found = {
        (name, number)
        for number in (*_RIGHT, *_WRONG)
        for dress in set(_dresses(number))
        for name, data in everything.items()
        if dress in data
    }
    assert not found
    said = [next(iter(reply)) for reply in told]
    assert {"taken", "refused", "session"} == set(said)


def test_the_search_finds_what_it_looks_for() -> None:
    """Each dress is one that the number can really be recognised in."""
    number = _RIGHT[0]
    hidden = {
        "utf-16": f"ID {number}.".encode("utf-16"),
        "base64": base64.b64encode(f"card {number}, read".encode()),
        "sha256": b"key-" + hashlib.sha256(number.encode()).hexdigest().encode(),
        "md5": base64.b64encode(hashlib.md5(number.encode(), usedforsecurity=False).digest()),
        "reversed": number[::-1].encode(),
        "born": number[6:17].encode(),
    }

    missed = [n for n, data in hidden.items() if not any(d in data for d in _dresses(number))]

    assert not missed


def test_no_core_is_dumped_and_nobody_looks_in() -> None:
    program = (
        "import ctypes, resource; from gateway.memory import keep_private; keep_private();"
        f"print(ctypes.CDLL(None).prctl({_GET_DUMPABLE}, 0, 0, 0, 0),"
        " resource.getrlimit(resource.RLIMIT_CORE))"
    )
    assert ctypes.CDLL(None).prctl(_GET_DUMPABLE, 0, 0, 0, 0) == 1

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "0 (0, 0)\n"
