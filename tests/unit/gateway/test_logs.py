"""Nothing that a gateway says of its work is personal: no card, no resident, no value, no line.

Everything that a process logs and keeps beside its spool is searched, after it was given cards and
values in every way that a terminal has, the wrong ones above all.
"""

import json
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from gateway.errors import SettingsError
from gateway.identity import pseudonym
from gateway.logs import open_log
from gateway.state_file import state_path
from tests.unit.gateway.gateway_builders import KEY, a_measurement, some_settings
from tests.unit.gateway.test_cli import GATEWAY, environment

CARD = "99000019490101001X"
VALUE = "13.37"
NAME = "张三丰"
LINES = [
    a_measurement(card_number=CARD, glucose=7),
    a_measurement(card_number=CARD, device_id=CARD),
    a_measurement(card_number=CARD + "1"),
    a_measurement(resident_id=CARD, card_number=CARD),
    a_measurement(resident_id=CARD),
    a_measurement(device_now=CARD, device_sequence=CARD, name=NAME),
    a_measurement(captured_at=CARD),
    a_measurement().replace(b"7", VALUE.encode()),
    f'{{"card_number": "{CARD}", "card_number": "{CARD}"}}'.encode(),
    f'{{"card_number": "{CARD}"'.encode(),
    f'["{CARD}"]'.encode(),
    CARD.encode(),
    NAME.encode(),
    NAME.encode("gb18030"),
    b'{"card_number": "\\ud800' + CARD.encode() + b'"}',
    CARD.encode() * 400,  # Longer than a line may be.
]


def test_nothing_personal_is_logged_or_kept_beside_the_spool(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_bytes(KEY)
    log = tmp_path / "logs" / "gateway.log"
    given = {
        "GATEWAY_PSEUDONYM_KEY_FILE": str(key),
        "GATEWAY_LOG_FILE": str(log),
        "GATEWAY_LOG_BYTES_MAX": "400",  # Put aside again and again, and nothing thrown away.
        "GATEWAY_LOG_FILES_MAX": "1000",
        "GATEWAY_STATUS_INTERVAL_S": "1",
        "GATEWAY_CONNECTIONS_MAX": "2",
    }
    gateway = subprocess.Popen(
        GATEWAY,
        env=environment(tmp_path, **given),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with gateway:
        assert gateway.stdout is not None
        host, port = json.loads(gateway.stdout.readline())["listening"].rsplit(":", 1)
        replies = 0
        for _ in range(2):
            with socket.create_connection((host, int(port)), timeout=20) as terminal:
                for line in LINES:
                    terminal.sendall(line + b"\n")
                terminal.sendall(CARD.encode())  # And it hangs up in the middle of a line.
                terminal.shutdown(socket.SHUT_WR)
                replies += len(terminal.makefile().readlines())
        turned_away = [socket.create_connection((host, int(port)), timeout=20) for _ in range(5)]
        until_hung_up(turned_away[-1])  # Two may stay; the last one comes too late.
        until_listed(state_path(tmp_path / "spool.db"))
        gateway.send_signal(signal.SIGTERM)
        out, err = gateway.communicate(timeout=30)
        for connection in turned_away:
            connection.close()

    assert replies == 2 * (len(LINES) + 1)
    assert gateway.returncode == 0
    kept = [*log.parent.iterdir(), state_path(tmp_path / "spool.db")]
    assert len(kept) > 2  # The log was put aside meanwhile.
    said = "\n".join([out, err, *(path.read_text("utf-8") for path in kept)])
    assert "a terminal was turned away" in said
    for personal in (CARD, CARD[:-1], CARD[6:14], VALUE, NAME, pseudonym(KEY, CARD)):
        assert personal not in said
    assert not re.search(r"\br-[0-9a-f]{32}\b|\d{17}", said)


def until_hung_up(connection: socket.socket) -> None:
    """Until the gateway has nothing more to say to it."""
    while connection.recv(4096):
        pass


def until_listed(path: Path) -> None:
    """Until the status knows of the devices that were heard."""
    deadline = time.monotonic() + 20
    while not path.exists() or "meter-1" not in path.read_text("utf-8"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_log_file_that_cannot_be_opened_is_a_wrong_setting(tmp_path: Path) -> None:
    settings = some_settings(tmp_path, log_file=tmp_path)

    with pytest.raises(SettingsError, match="GATEWAY_LOG_FILE"), open_log(settings):
        pass
