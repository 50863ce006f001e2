"""The service manager is told the truth: ready when it listens, alive only while all of it is."""

import asyncio
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.spool_thread import open_spool
from gateway.wire.service_manager import Notifier, run_watchdog, supervised
from tests.unit.gateway.gateway_builders import some_settings
from tests.unit.gateway.test_cli import GATEWAY, environment


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager's end of the line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as found:
        found.bind(str(tmp_path / "notify"))
        found.settimeout(20)
        yield found


def heard(manager: socket.socket) -> dict[str, str]:
    """The next message."""
    return dict(line.split("=", 1) for line in manager.recv(4_096).decode().splitlines())


def a_notifier(manager: socket.socket, **words: str) -> Notifier:
    return Notifier({"NOTIFY_SOCKET": str(manager.getsockname()), **words})


def test_without_a_manager_nothing_happens() -> None:
    Notifier({}).say(READY="1")
    Notifier({"NOTIFY_SOCKET": "/nowhere/notify"}).say(READY="1")
    assert Notifier({"WATCHDOG_USEC": "1000000"}).interval_s is None


def test_the_watchdog_is_somebody_else_s_when_it_names_another_process(
    manager: socket.socket,
) -> None:
    assert a_notifier(manager, WATCHDOG_USEC="3000000").interval_s == 1.0
    ours = a_notifier(manager, WATCHDOG_USEC="3000000", WATCHDOG_PID=str(os.getpid()))
    assert ours.interval_s == 1.0
    assert a_notifier(manager, WATCHDOG_USEC="3000000", WATCHDOG_PID="1").interval_s is None
    for nonsense in ("", "0", "-1", "x"):
        assert a_notifier(manager, WATCHDOG_USEC=nonsense).interval_s is None


def test_an_abstract_socket_is_reached_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0suifang-test-{os.getpid()}")
        manager.settimeout(20)
        Notifier({"NOTIFY_SOCKET": f"@suifang-test-{os.getpid()}"}).say(READY="1", STATUS="good")
        assert heard(manager) == {"READY": "1", "STATUS": "good"}


async def test_a_spool_thread_that_stands_still_silences_the_watchdog(
    manager: socket.socket, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    manager.setblocking(False)  # noqa: FBT003 - the socket's own signature
    loop = asyncio.get_running_loop()
    async with open_spool(some_settings(tmp_path)) as spool:

        async def is_alive() -> bool:
            await spool.run(lambda: None)
            return True

        notifier = a_notifier(manager, WATCHDOG_USEC="150000")
        watching = asyncio.create_task(run_watchdog(notifier, is_alive, lambda: "fine"))
        async with asyncio.timeout(20):
            for _ in range(3):
                assert b"WATCHDOG=1" in await loop.sock_recv(manager, 4_096)

            go_on = threading.Event()
            stuck = asyncio.create_task(spool.run(go_on.wait, 60))
            while not caplog.records:  # noqa: ASYNC110 - what is awaited has no event
                await asyncio.sleep(0.01)
            await drain(manager)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):  # Ten intervals, and not a word.
                    await loop.sock_recv(manager, 4_096)

            go_on.set()
            await stuck
            assert b"WATCHDOG=1" in await loop.sock_recv(manager, 4_096)
        watching.cancel()


async def drain(manager: socket.socket) -> None:
    """Forget what was said before."""
    while True:
        try:
            manager.recv(4_096)
        except BlockingIOError:
            return


def test_the_process_is_ready_when_it_listens_and_says_when_it_stops(
    manager: socket.socket, tmp_path: Path
) -> None:
    told = {"NOTIFY_SOCKET": str(manager.getsockname()), "WATCHDOG_USEC": "1000000"}
    gateway = subprocess.Popen(
        GATEWAY, env=environment(tmp_path, **told), stdout=subprocess.PIPE, text=True
    )
    with gateway:
        words: list[str] = []
        while "WATCHDOG" not in words:
            message = heard(manager)
            words += message
            if "READY" in message:
                host, port = message["STATUS"].removeprefix("listens on ").rsplit(":", 1)
                socket.create_connection((host, int(port)), timeout=20).close()
        assert "READY" in words
        gateway.terminate()
        while "STOPPING" not in words:
            words += heard(manager)
        assert gateway.wait(20) == 0


async def test_work_that_is_supervised_is_told_from_ready_to_stopping(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.getsockname()))
    monkeypatch.setenv("WATCHDOG_USEC", "60000")
    ends = asyncio.Event()

    async def work() -> int:
        await ends.wait()
        return 7

    task = asyncio.create_task(supervised(work(), lambda: ["no database"]))
    assert (await asyncio.to_thread(heard, manager))["READY"] == "1"
    alive = await asyncio.to_thread(heard, manager)
    assert alive == {"WATCHDOG": "1", "STATUS": "no database"}
    ends.set()
    assert await task == 7
    while (last := await asyncio.to_thread(heard, manager)).get("WATCHDOG"):
        pass
    assert last == {"STOPPING": "1"}


async def test_a_loop_that_does_not_turn_is_silent(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.getsockname()))
    monkeypatch.setenv("WATCHDOG_USEC", "60000")
    stuck = threading.Event()

    async def work() -> None:
        await asyncio.sleep(0.1)
        stuck.wait()  # The loop stands still, as in a bug.

    loop = threading.Thread(target=lambda: asyncio.run(supervised(work())))
    loop.start()
    try:
        manager.settimeout(1)
        with suppress(TimeoutError):  # What was said before it stood still.
            while heard(manager):
                pass
        with pytest.raises(TimeoutError):
            heard(manager)
    finally:
        stuck.set()
        loop.join()


async def test_cancelled_work_is_cancelled_and_failed_work_fails() -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    async def fail() -> None:
        raise LookupError

    task = asyncio.create_task(supervised(hang()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(LookupError):
        await supervised(fail())
