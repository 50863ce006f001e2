"""The private stack survives kills, keeps strangers out, and leaves strangers alone."""

import asyncio
import json
import signal
import stat
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiomqtt
import psycopg
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from deploy.embedded.errors import NotReadyError, StackError
from deploy.embedded.folders import recall_layout
from deploy.embedded.processes import identify, read_record
from deploy.embedded.stack import Stack
from deploy.embedded.status import ServiceStatus

PASSWORDS = {"gateway-a": "one of the secrets", "gateway-b": "another secret"}
READINGS_A = "suifang/v1/centre/gateway-a/readings"
READINGS_B = "suifang/v1/centre/gateway-b/readings"
ANSWER_S_MAX = 5.0


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack of its own, with the programs that the checkout's stack has unpacked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUIFANG_PACKAGES", str(Stack.of_checkout().fetch()))
        found = Stack.of_checkout(tmp_path_factory.mktemp("stack") / ".suifang")
        try:
            found.up()
            found.set_broker_users(PASSWORDS)
            yield found
        finally:
            found.erase()


@pytest.fixture(autouse=True)
def _everything_runs(stack: Stack) -> None:
    stack.up()


def service(stack: Stack, name: str) -> ServiceStatus:
    return next(each for each in stack.status().services if each.name == name)


def client(
    stack: Stack,
    user: str,
    password: str | None = None,
    **options: Any,  # noqa: ANN401 - passed on as they are
) -> aiomqtt.Client:
    password = password or PASSWORDS.get(user) or stack.broker_password(user)
    return aiomqtt.Client(
        stack.broker_host,
        stack.broker_port,
        username=user,
        password=password,
        protocol=aiomqtt.ProtocolVersion.V5,
        timeout=ANSWER_S_MAX,
        **options,
    )


async def hear(listener: aiomqtt.Client) -> tuple[str, bytes]:
    """The next message of a listener."""
    async with asyncio.timeout(ANSWER_S_MAX):
        message = await anext(aiter(listener.messages))
    assert isinstance(message.payload, bytes)
    return str(message.topic), message.payload


# --- the services as such ------------------------------------------------------------------------


def test_up_again_changes_nothing(stack: Stack) -> None:
    before = stack.status()

    assert stack.up() == before


def test_two_ups_at_once_start_each_service_once(stack: Stack) -> None:
    stack.down()
    threads = [threading.Thread(target=stack.up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert stack.status().running
    for each in stack.status().services:
        assert each.data_dir is not None
        assert processes_naming(str(each.data_dir.parent)) == {each.pid}


def processes_naming(folder: str) -> set[int]:
    """Processes with this folder on their command line, except children of such."""
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
            if entry.name.isdigit() and folder in words:
                found[int(entry.name)] = int(
                    (entry / "stat").read_text().rpartition(") ")[2][2:].split()[0]
                )
        except (OSError, ValueError):
            continue
    return {pid for pid, parent in found.items() if parent not in found}


@pytest.mark.parametrize("name", ["postgres", "broker"])
def test_each_service_listens_on_loopback_only(stack: Stack, name: str) -> None:
    found = service(stack, name)

    assert found.pid is not None
    assert found.port is not None
    ports = [found.port, *([stack.broker_tls_port] if name == "broker" else [])]
    assert sorted(listening_addresses(found.pid)) == sorted(f"0100007F:{p:04X}" for p in ports)


def listening_addresses(pid: int) -> list[str]:
    """Where a process listens, as the kernel writes it (127.0.0.1 is 0100007F)."""
    links = [Path(each).readlink() for each in Path(f"/proc/{pid}/fd").iterdir()]
    inodes = {str(each)[8:-1] for each in links if str(each).startswith("socket:[")}
    lines = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return [fields[1] for fields in lines if fields[3] == "0A" and fields[9] in inodes]


def test_everything_written_is_private(stack: Stack) -> None:
    layout = recall_layout(stack.home)
    assert layout is not None
    open_to_others = [
        path
        for top in (layout.home, layout.root)
        for path in [top, *top.rglob("*")]
        if "packages" not in path.parts and not path.is_symlink()
        if path.stat().st_mode & (0o067 if path.is_dir() else 0o077)
        and not stat.S_ISSOCK(path.stat().st_mode)
    ]

    assert open_to_others == []


def test_status_is_json_and_holds_no_secret(stack: Stack) -> None:
    text = json.dumps(stack.status().as_dict())

    assert stack.broker_password("ingest") not in text
    assert '"running": true' in text


def test_a_stranger_with_a_recorded_number_is_never_stopped(stack: Stack) -> None:
    layout = recall_layout(stack.home)
    assert layout is not None
    record = layout.records / "broker.record"
    with subprocess.Popen(["sleep", "60"]) as stranger:
        whole = record.read_text()
        ours = read_record(record)
        theirs = identify(stranger.pid)
        assert ours is not None
        assert theirs is not None
        assert theirs != replace(ours, pid=stranger.pid)
        record.write_text(whole.replace(f"{ours.pid} (", f"{stranger.pid} (", 1))

        assert not service(stack, "broker").running
        stack.stop("broker")
        with pytest.raises(NotReadyError):
            stack.signal("broker", signal.SIGKILL)

        assert stranger.poll() is None
        record.write_text(whole)
        stranger.kill()
    assert service(stack, "broker").running


# --- PostgreSQL ----------------------------------------------------------------------------------


def test_an_ordinary_owner_uses_hypertables_and_on_conflict(stack: Stack) -> None:
    dsn = stack.create_database("hypertables")
    once = "INSERT INTO reading VALUES (1, '2026-01-01Z', 182) ON CONFLICT DO NOTHING RETURNING id"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE reading (id int, at timestamptz, systolic int, PRIMARY KEY (id, at))"
        )
        connection.execute(
            "SELECT create_hypertable('reading', by_range('at', INTERVAL '1 month'))"
        )
        first, second = (connection.execute(once).fetchall() for _ in range(2))
        settings = connection.execute(
            "SELECT rolsuper, current_setting('fsync'), current_setting('timescaledb.license'),"
            " current_setting('timescaledb.telemetry_level'), current_setting('data_checksums')"
            " FROM pg_roles WHERE rolname = current_user"
        ).fetchone()

    assert (first, second) == ([(1,)], [])
    assert settings == (False, "on", "apache", "off", "on")
    assert "hypertables" in stack.list_databases()
    stack.drop_database("hypertables")
    assert "hypertables" not in stack.list_databases()


def test_making_a_database_twice_keeps_what_is_in_it(stack: Stack) -> None:
    with psycopg.connect(stack.create_database("twice"), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept ()")

    with psycopg.connect(stack.create_database("twice")) as connection:
        connection.execute("SELECT FROM kept")
    stack.drop_database("twice")


def test_a_wrong_database_password_is_refused(stack: Stack) -> None:
    right = stack.dsn("postgres")
    wrong = right.replace(right.split(":")[2].split("@")[0], "wrong")

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(wrong)


def test_a_killed_database_comes_back_with_every_commit_on_the_same_port(stack: Stack) -> None:
    dsn = stack.create_database("killed")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("CREATE TABLE counted (n int)")
        connection.execute("INSERT INTO counted SELECT generate_series(1, 1000)")
        stack.signal("postgres", signal.SIGKILL)

    stack.start("postgres")

    assert stack.dsn("killed") == dsn
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM counted").fetchone() == (1_000,)
    stack.drop_database("killed")


@pytest.mark.parametrize("name", ["", "Upper", "a-b", 'x"; DROP', "1st"])
def test_an_odd_database_name_is_refused(stack: Stack, name: str) -> None:
    with pytest.raises(StackError, match="Not a usable database name"):
        stack.create_database(name)


# --- Mosquitto -----------------------------------------------------------------------------------


async def test_a_gateway_is_heard_under_its_own_name_only(stack: Stack) -> None:
    async with client(stack, "ingest") as ingest, client(stack, "gateway-a") as gateway:
        await ingest.subscribe("suifang/v1/+/+/readings", qos=1)

        await gateway.publish(READINGS_B, b"forged", qos=1)
        await gateway.publish("suifang/v1/centre/gateway-a/receipts", b"forged", qos=1)
        await gateway.publish(READINGS_A, b"own", qos=1)

        assert await hear(ingest) == (READINGS_A, b"own")


async def test_a_gateway_hears_its_own_receipts_only(stack: Stack) -> None:
    async with client(stack, "ingest") as ingest, client(stack, "gateway-a") as gateway:
        await gateway.subscribe("suifang/#", qos=1)

        await ingest.publish("suifang/v1/centre/gateway-b/receipts", b"not yours", qos=1)
        await ingest.publish("suifang/v1/centre/gateway-a/receipts", b"yours", qos=1)

        assert await hear(gateway) == ("suifang/v1/centre/gateway-a/receipts", b"yours")


async def test_ingest_hears_all_gateways_through_a_shared_subscription(stack: Stack) -> None:
    async with (
        client(stack, "ingest") as ingest,
        client(stack, "gateway-a") as first,
        client(stack, "gateway-b") as second,
    ):
        await ingest.subscribe("$share/ingest/suifang/v1/+/+/readings", qos=1)
        await ingest.subscribe("$share/ingest/suifang/v1/+/+/backlog", qos=1)

        await first.publish(READINGS_A, b"a", qos=1)
        await second.publish("suifang/v1/centre/gateway-b/backlog", b"b", qos=1)

        assert {(await hear(ingest))[1], (await hear(ingest))[1]} == {b"a", b"b"}


async def test_the_probe_sees_everything_and_says_nothing(stack: Stack) -> None:
    async with client(stack, "probe") as probe, client(stack, "gateway-a") as gateway:
        await probe.subscribe("suifang/#", qos=1)

        await probe.publish(READINGS_A, b"forged", qos=1)
        await gateway.publish(READINGS_A, b"real", qos=1)

        assert await hear(probe) == (READINGS_A, b"real")


@pytest.mark.parametrize(
    ("user", "password"),
    [
        pytest.param(None, None, id="anonymous"),
        pytest.param("gateway-a", "wrong", id="wrong-password"),
        pytest.param("gateway-c", "any", id="unknown-user"),
    ],
)
async def test_nobody_comes_in_without_the_right_password(
    stack: Stack, user: str | None, password: str | None
) -> None:
    with pytest.raises(aiomqtt.MqttError, match=r"(?i)not authori[sz]ed"):
        async with aiomqtt.Client(
            stack.broker_host,
            stack.broker_port,
            username=user,
            password=password,
            protocol=aiomqtt.ProtocolVersion.V5,
            timeout=ANSWER_S_MAX,
        ):
            pytest.fail("came in")


async def test_a_packet_too_large_is_refused(stack: Stack) -> None:
    async with client(stack, "ingest") as ingest:
        await ingest.subscribe("suifang/v1/+/+/readings", qos=1)
        with pytest.raises(aiomqtt.MqttError):
            async with client(stack, "gateway-a") as gateway:
                await gateway.publish(READINGS_A, bytes(262_144), qos=1)
        async with client(stack, "gateway-a") as gateway:
            await gateway.publish(READINGS_A, bytes(250_000), qos=1)

        assert len((await hear(ingest))[1]) == 250_000


async def test_new_users_come_in_at_once_and_sessions_survive(stack: Stack) -> None:
    """By a restart: told by SIGHUP, Mosquitto 2.0.21 later expires healthy clients at random."""
    many = {f"many-{number}": f"secret {number}" for number in range(300)}
    kept: dict[str, Any] = {"clean_start": False, "properties": session(1_000)}
    async with client(stack, "ingest", identifier="keeps", **kept) as ingest:
        await ingest.subscribe("suifang/v1/+/+/readings", qos=1)
    async with client(stack, "gateway-a") as gateway:
        await gateway.publish(READINGS_A, b"before", qos=1)

    await asyncio.to_thread(stack.set_broker_users, many)

    async with client(stack, "many-299", password=many["many-299"]):
        pass
    async with client(stack, "gateway-a") as gateway:
        await gateway.publish(READINGS_A, b"after", qos=1)
    async with client(stack, "ingest", identifier="keeps", **kept) as ingest:
        assert [(await hear(ingest))[1] for _ in range(2)] == [b"before", b"after"]


@pytest.mark.parametrize("user", ["ingest", "operator", "probe", "a:b", "a b", "", "+"])
def test_an_odd_or_reserved_user_is_refused(stack: Stack, user: str) -> None:
    with pytest.raises(StackError, match=r"Reserved|Not a usable"):
        stack.set_broker_users({user: "secret"})


async def test_a_killed_broker_comes_back_on_the_same_port_with_its_users(stack: Stack) -> None:
    port = stack.broker_port
    stack.signal("broker", signal.SIGKILL)

    await asyncio.to_thread(stack.start, "broker")

    assert stack.broker_port == port
    async with client(stack, "gateway-a") as gateway:
        await gateway.publish(READINGS_A, b"back", qos=1)


async def test_a_stopped_broker_keeps_what_a_sleeping_worker_has_not_heard(stack: Stack) -> None:
    worker: dict[str, Any] = {
        "identifier": "ingest-0",
        "clean_start": False,
        "properties": session(3_600),
    }
    async with client(stack, "ingest", **worker) as ingest:
        await ingest.subscribe("suifang/v1/+/+/readings", qos=1)
    async with client(stack, "gateway-a") as gateway:
        for number in range(1_500):  # More than Mosquitto's own default keeps.
            await gateway.publish(READINGS_A, str(number).encode(), qos=1)
    await asyncio.to_thread(stack.stop, "broker")
    await asyncio.to_thread(stack.start, "broker")

    async with client(stack, "ingest", **worker) as ingest:
        heard = [int((await hear(ingest))[1]) for _ in range(1_500)]
        await ingest.unsubscribe("suifang/v1/+/+/readings")

    assert heard == list(range(1_500))


def session(seconds: int) -> Properties:
    """A session that outlives its connection by so many seconds."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = seconds
    return properties
