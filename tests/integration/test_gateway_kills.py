"""The gateway's process killed at random instants, under load, with a real broker and receipts.

Terminals keep what is not "taken" and offer it again; whoever plays ingest answers late, twice,
or not at all. When everything is over, every reading that a terminal was told "taken" has
arrived, under one id, in one batch with one set of bytes, in the order of its device.

``make crash`` kills 300 times (``KILLS=1000 SEED=7``); ``make test`` twenty.
"""

import asyncio
import contextlib
import json
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiomqtt
import pytest

from gateway.counters import SpoolCounters, read_counters
from tests.fix_broker import TestBroker
from tests.fix_ports import free_port

KILLS = int(os.environ.get("CRASH_KILLS", "20"))
SEED = int(os.environ.get("CRASH_SEED", "1"))
DEVICES = 4
WINDOW = 24
STALL_S = 60.0
ROOT = Path(__file__).parents[2]


@dataclass
class Terminal:
    """Sends lines ahead of replies; forgets one when it was taken, and not before."""

    device: str
    taken: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    next: int = 0  # The first that was not taken.
    stop: bool = False

    async def run(self, port: int) -> None:
        """Connect again and again until told to stop."""
        while not self.stop:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._talk(port)
            await asyncio.sleep(0.02)

    async def _talk(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            waiting: list[int] = []
            sequence = self.next
            while not self.stop or waiting:
                while len(waiting) < WINDOW and not self.stop:
                    writer.write(self._line(sequence))
                    waiting.append(sequence)
                    sequence += 1
                reply = json.loads(await reader.readuntil(b"\n"))
                head = waiting.pop(0)
                if "busy" in reply:  # This one and all after it are offered again.
                    return
                self.taken[head].append(reply["taken"])
                self.next = head + 1
        finally:
            writer.close()

    def _line(self, sequence: int) -> bytes:
        line = {
            "kind": "glucose",
            "device_id": self.device,
            "device_sequence": sequence,
            "glucose": 7,
            "unit": "mmol/L",
        }
        return json.dumps(line).encode() + b"\n"


@dataclass
class Ingest:
    """Answers as ingest may: late, twice, not at all; keeps the first of every batch."""

    client: aiomqtt.Client
    topic: str
    chance: random.Random
    bodies: dict[str, bytes] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)  # Batches that came with other bytes.
    messages: int = 0
    kind: bool = False  # Answers everything, at once.

    async def run(self) -> None:
        """Answer for ever."""
        async with asyncio.TaskGroup() as tasks:
            async for message in self.client.messages:
                assert isinstance(message.payload, bytes)
                self.messages += 1
                batch = json.loads(message.payload)
                if self.bodies.setdefault(batch["batch"], message.payload) != message.payload:
                    self.changed.append(batch["batch"])
                tasks.create_task(self._answer(batch["batch"], len(batch["readings"])))

    async def _answer(self, batch: str, readings: int) -> None:
        mood = 1.0 if self.kind else self.chance.random()
        if mood < 0.15:
            return
        await asyncio.sleep(0 if self.kind else self.chance.choice([0, 0, 0.01, 0.1]))
        counts = {"stored": readings, "duplicate": 0, "quarantined": []}
        receipt = json.dumps({"receipts": [{"batch": batch, **counts}]})
        for _ in range(2 if mood < 0.25 else 1):
            with contextlib.suppress(aiomqtt.MqttError):  # On a busy machine; then: not at all.
                await self.client.publish(f"{self.topic}/receipts", receipt, qos=1, timeout=30)


@dataclass
class Killed:
    """The gateway's process over all its lives."""

    environment: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start one; returns at once."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "gateway.cli"),
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
            )

    async def listens(self) -> None:
        """Wait until it takes readings."""
        assert self.process is not None
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            assert await self.process.stdout.readline(), self.log.read_text()

    async def kill(self) -> None:
        """``kill -9``."""
        assert self.process is not None
        assert self.process.returncode is None, self.log.read_text()
        self.process.kill()
        await self.process.wait()


@dataclass
class Scene:
    """Everything of one run."""

    gateway: Killed
    ingest: Ingest
    terminals: list[Terminal]
    spool: Path
    port: int
    chance: random.Random
    tasks: list[asyncio.Task[None]]

    async def kill_often(self) -> None:
        """Half of the kills come while it starts, half while it works."""
        for _ in range(KILLS):
            await self.gateway.start()
            if self.chance.random() < 0.7:
                await self.gateway.listens()
                await asyncio.sleep(self.chance.uniform(0, 0.8))
            else:
                await asyncio.sleep(self.chance.uniform(0, 1.5))
            await self.gateway.kill()

    async def let_everything_arrive(self) -> None:
        """No more kills, no more new readings; the spool empties."""
        self.ingest.kind = True
        await self.gateway.start()
        await self.gateway.listens()
        for terminal in self.terminals:
            terminal.stop = True
        left, deadline = await self.counters(), time.monotonic() + STALL_S
        while left.waiting:
            await asyncio.sleep(0.1)
            ended = [task for task in self.tasks if task.done()]
            assert not ended, f"{ended} and nobody answers"
            before, left = left, await self.counters()
            if left.waiting < before.waiting or left.accepted > before.accepted:
                deadline = time.monotonic() + STALL_S
            assert time.monotonic() < deadline, f"{left} {self.gateway.log.read_text()[-3_000:]}"

    async def counters(self) -> SpoolCounters:
        """Of the spool."""
        return await asyncio.to_thread(read_counters, self.spool)


@pytest.fixture
async def scene(broker: TestBroker, tmp_path: Path) -> AsyncIterator[Scene]:
    """A gateway of its own on the real broker, four terminals, and somebody who answers."""
    name = f"gw-{uuid4().hex[:12]}"
    spool, port = tmp_path / "spool.db", free_port()
    environment = {
        "GATEWAY_ID": name,
        "GATEWAY_CENTRE": "kills",
        "GATEWAY_BROKER_HOST": broker.host,
        "GATEWAY_BROKER_PORT": str(broker.port),
        "GATEWAY_BROKER_PASSWORD": broker.add_user(name),
        "GATEWAY_SPOOL": str(spool),
        "GATEWAY_LISTEN_PORT": str(port),
        "GATEWAY_RESEND_S_MIN": "1",
        "GATEWAY_RESEND_S_MAX": "2",
        "GATEWAY_RECONNECT_S_MAX": "1",
        "GATEWAY_CLOCK_SYNCHRONISED": "yes",
    }
    chance = random.Random(f"kills {SEED}")  # noqa: S311 - reproducible
    client = aiomqtt.Client(
        broker.host,
        broker.port,
        username="ingest",
        password=broker.password_of("ingest"),
        protocol=aiomqtt.ProtocolVersion.V5,
        max_queued_outgoing_messages=0,
    )
    async with client:
        topic = f"suifang/v1/kills/{name}"
        for channel in ("readings", "backlog"):
            await client.subscribe(f"{topic}/{channel}", qos=1)
        ingest = Ingest(client, topic, chance)
        terminals = [Terminal(f"meter-{number}") for number in range(DEVICES)]
        gateway = Killed(environment, tmp_path / "gateway.log")
        tasks = [
            asyncio.create_task(ingest.run()),
            *(asyncio.create_task(terminal.run(port)) for terminal in terminals),
        ]
        yield Scene(gateway, ingest, terminals, spool, port, chance, tasks[:1])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if gateway.process is not None and gateway.process.returncode is None:
            gateway.process.terminate()
            await gateway.process.wait()


@pytest.mark.slow
@pytest.mark.timeout(120 + 15 * KILLS)
async def test_kills_lose_nothing_double_nothing_and_keep_the_order(scene: Scene) -> None:
    begun = time.monotonic()
    await scene.kill_often()
    await scene.let_everything_arrive()

    arrived: dict[str, tuple[str, int]] = {}  # Id -> device and sequence, in order of building.
    for batch in sorted(scene.ingest.bodies):  # A batch's id carries the time it was built.
        for reading in json.loads(scene.ingest.bodies[batch])["readings"]:
            assert reading["id"] not in arrived, "a reading came in two batches"
            arrived[reading["id"]] = (reading["device_id"], reading["device_sequence"])
    told = {
        identifier: (terminal.device, sequence)
        for terminal in scene.terminals
        for sequence, identifiers in terminal.taken.items()
        for identifier in identifiers
    }
    counters = await scene.counters()
    report(scene, counters, told, arrived, time.monotonic() - begun)

    assert not scene.ingest.changed, "a batch came with other bytes"
    assert told.items() <= arrived.items(), "a reading was taken and never came"
    assert counters.conserved
    assert (counters.waiting, counters.lost) == (0, 0)
    assert counters.accepted == counters.confirmed_stored == len(arrived)
    for terminal in scene.terminals:
        # What was on disk when the kill came before the reply is offered, and stored, again.
        order = [number for device, number in arrived.values() if device == terminal.device]
        firsts = list(dict.fromkeys(order))
        assert firsts == sorted(firsts)
        ids = [key for key, (device, _) in arrived.items() if device == terminal.device]
        assert all(before < after for before, after in pairwise(ids)), "ids out of order"
        assert set(terminal.taken) <= set(order)


def report(
    scene: Scene,
    counters: SpoolCounters,
    told: dict[str, tuple[str, int]],
    arrived: dict[str, tuple[str, int]],
    seconds: float,
) -> None:
    """One line of JSON for ``make crash``."""
    found: dict[str, Any] = {
        "kills": KILLS,
        "seed": SEED,
        "told_taken": len(told),
        "arrived": len(arrived),
        "lost": len(told.keys() - arrived.keys()),
        "stored_but_not_told": len(arrived.keys() - told.keys()),
        "batches": len(scene.ingest.bodies),
        "messages": scene.ingest.messages,
        "batches_resent": counters.batches_resent,
        "receipts_unknown": counters.receipts_unknown,
        "seconds": round(seconds),
    }
    sys.stdout.write("\n" + json.dumps(found) + "\n")
