"""An operator hears how a gateway is and tells it what to do, over the real broker.

Commands survive a gateway that is away or killed, and are carried out once.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiomqtt
import pytest

from gateway.runtime import Gateway
from gateway.settings import ClockTrust, GatewaySettings
from gateway.wire.commands import Command, write_command
from gateway.wire.status import Status, parse_status
from gateway.wire.times import utc_now
from tests.fix_broker import TestBroker
from tests.integration.gateway_bench import a_process, fresh_settings, say

SUIFANG = Path(sys.executable).with_name("suifang")


@pytest.fixture
def settings(broker: TestBroker, tmp_path: Path) -> GatewaySettings:
    """A gateway that nobody else uses."""
    return fresh_settings(broker, tmp_path)


def topic_of(settings: GatewaySettings, channel: str) -> str:
    return f"suifang/v1/{settings.centre}/{settings.id}/{channel}"


@asynccontextmanager
async def an_operator(
    broker: TestBroker, settings: GatewaySettings
) -> AsyncIterator[aiomqtt.Client]:
    """The user that may write commands and read statuses."""
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        username="operator",
        password=broker.password_of("operator"),
        protocol=aiomqtt.ProtocolVersion.V5,
    ) as client:
        await client.subscribe(topic_of(settings, "status"), qos=1)
        yield client


async def hear(client: aiomqtt.Client) -> Status:
    """The next status."""
    async with asyncio.timeout(20):
        message = await anext(aiter(client.messages))
    assert isinstance(message.payload, bytes)
    return parse_status(message.payload)


async def hear_result(client: aiomqtt.Client, command: Command) -> Status:
    """The status that answers a command."""
    while True:
        status = await hear(client)
        if any(result.id == command.id for result in status.commands):
            return status


def a_command(name: str, **changes: Any) -> Command:  # noqa: ANN401 - any field
    now = datetime.now(UTC)
    given = {
        "id": uuid4(),
        "command": name,
        "issued_at": now,
        "expires_at": now + timedelta(minutes=5),
    }
    return Command.model_validate(given | changes)


async def test_a_newcomer_finds_the_whole_status_retained(
    broker: TestBroker, settings: GatewaySettings
) -> None:
    async with Gateway(settings, utc_now) as gateway, an_operator(broker, settings) as operator:
        while not (status := await hear(operator)).online:
            pass
        await say(gateway.address, 0, 3)
        command = a_command("report_status")
        await operator.publish(topic_of(settings, "commands"), write_command(command), qos=1)
        status = await hear_result(operator, command)

    assert status.version
    assert status.uptime_s is not None
    assert status.spool is not None
    assert (status.spool.rows, status.counters["accepted"]) == (3, 3)
    assert [device.id for device in status.devices] == ["m-1"]

    async with an_operator(broker, settings) as operator:
        farewell = await hear(operator)
    assert not farewell.online
    assert farewell.spool is not None
    assert farewell.spool.rows == 3


async def test_a_command_waits_for_a_gateway_that_is_away_and_is_carried_out_once(
    broker: TestBroker, settings: GatewaySettings
) -> None:
    settings = replace(settings, clock_synchronised=ClockTrust.YES)
    async with Gateway(settings, utc_now), an_operator(broker, settings) as operator:
        while not (await hear(operator)).online:
            pass
    command = a_command("rotate_log")
    expired = a_command("rotate_log", expires_at=datetime.now(UTC) - timedelta(seconds=1))
    async with an_operator(broker, settings) as operator:
        for given in (command, expired, command):
            await operator.publish(topic_of(settings, "commands"), write_command(given), qos=1)
    for _ in range(2):  # The second time the broker has nothing more, and the answer stays.
        async with Gateway(settings, utc_now), an_operator(broker, settings) as operator:
            status = await hear_result(operator, command)
            while len(status.commands) < 2:
                status = await hear(operator)
            assert {(r.id, r.outcome, r.code) for r in status.commands} == {
                (command.id, "refused", "no_log_file"),
                (expired.id, "refused", "expired"),
            }


async def test_commands_are_answered_once_each_though_the_gateway_is_killed_among_them(
    broker: TestBroker, settings: GatewaySettings
) -> None:
    async with Gateway(settings, utc_now), an_operator(broker, settings) as operator:
        while not (await hear(operator)).online:
            pass
    commands = [a_command("report_status") for _ in range(12)]
    async with an_operator(broker, settings) as operator:
        for turn in range(4):
            async with a_process(settings) as (process, _):
                for command in commands[turn * 3 : turn * 3 + 3]:
                    payload = write_command(command)
                    await operator.publish(topic_of(settings, "commands"), payload, qos=1)
                if turn:
                    await hear_result(operator, commands[turn * 3])
                process.kill()
        async with a_process(settings):
            status = await hear_result(operator, commands[-1])
            while len(status.commands) < len(commands):
                status = await hear(operator)

    assert sorted(r.id for r in status.commands) == sorted(c.id for c in commands)
    assert {r.outcome for r in status.commands} == {"done"}


async def test_another_gateway_cannot_command_or_watch_it(
    broker: TestBroker, settings: GatewaySettings
) -> None:
    other = f"gw-{uuid4().hex[:12]}"
    password = broker.add_user(other)
    async with Gateway(settings, utc_now), an_operator(broker, settings) as operator:
        while not (await hear(operator)).online:
            pass
        async with aiomqtt.Client(
            broker.host,
            broker.port,
            username=other,
            password=password,
            protocol=aiomqtt.ProtocolVersion.V5,
        ) as intruder:
            forged = a_command("rotate_log")
            await intruder.publish(topic_of(settings, "commands"), write_command(forged), qos=1)
            await intruder.subscribe("suifang/#", qos=1)
            command = a_command("report_status")
            await operator.publish(topic_of(settings, "commands"), write_command(command), qos=1)
            status = await hear_result(operator, command)
            assert [result.id for result in status.commands] == [command.id]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await anext(aiter(intruder.messages))


async def suifang_command(broker: TestBroker, *arguments: str) -> tuple[int, str, Any]:
    """Run ``suifang command``; its exit code, what it said on stderr, its JSON."""
    process = await asyncio.create_subprocess_exec(
        SUIFANG,
        "command",
        "--port",
        str(broker.port),
        *arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "COMMAND_BROKER_PASSWORD": broker.password_of("operator")},
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, err.decode(), json.loads(out) if out else None


async def test_the_sender_waits_for_the_answer_and_its_exit_code_tells(
    broker: TestBroker, settings: GatewaySettings
) -> None:
    async with Gateway(settings, utc_now) as gateway:
        async with an_operator(broker, settings) as operator:
            while not (await hear(operator)).online:
                pass
        (taken,) = await say(gateway.address, 0, 1)

        code, _, said = await suifang_command(broker, "resend", settings.id, "--json")
        assert said is not None
        assert (code, said["result"]["outcome"]) == (0, "done")
        assert {"batches", "in_flight", "unbatched", "not_in_spool"} == set(
            said["result"]["figures"]
        )

        code, _, said = await suifang_command(
            broker, "resend", settings.id, "--reading", taken, "--reading", str(uuid4()), "--json"
        )
        assert said is not None
        assert (code, said["result"]["figures"]["not_in_spool"]) == (0, 1)
        assert "confirmed by ingest" in said["result"]["detail"]

        code, _, said = await suifang_command(broker, "rotate-log", settings.id, "--json")
        assert said is not None
        assert (code, said["result"]["code"]) == (1, "no_log_file")


async def test_an_operator_sees_all_gateways_at_once_those_offline_too(
    broker: TestBroker, settings: GatewaySettings
) -> None:
    for online in (True, False):
        async with contextlib.AsyncExitStack() as stack:
            if online:
                await stack.enter_async_context(Gateway(settings, utc_now))
                operator = await stack.enter_async_context(an_operator(broker, settings))
                while not (await hear(operator)).online:
                    pass
            code, _, listed = await suifang_command(broker, "list", "--json")
        assert code == 0
        assert isinstance(listed, list)
        (mine,) = [each for each in listed if each["gateway"] == settings.id]
        assert (mine["centre"], mine["status"]["online"]) == ("test-centre", online)


async def test_a_sender_that_cannot_be_answered_says_why(
    broker: TestBroker, settings: GatewaySettings
) -> None:
    async with Gateway(settings, utc_now), an_operator(broker, settings) as operator:
        while not (await hear(operator)).online:
            pass

    absent = ("--wait-s", "0.2", "report-status", settings.id, "--json")
    code, _, said = await suifang_command(broker, *absent)
    assert said is not None
    assert (code, said["result"]) == (1, None)
    code, err, _ = await suifang_command(broker, "report-status", "gw-never-seen")
    assert code == 1
    assert "--centre" in err
    code, err, _ = await suifang_command(broker, "resend", settings.id, "--from", "yesterday")
    assert code == 2
    assert "RFC 3339" in err
    code, err, _ = await suifang_command(
        broker, "--user", settings.id, "--centre", "test-centre", "report-status", settings.id
    )
    assert code == 1
    assert "password" in err
