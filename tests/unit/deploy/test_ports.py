"""A service keeps its port, unless somebody else has it."""

import random
import socket
from pathlib import Path

import pytest

from deploy.embedded.errors import StackError, StateError
from deploy.embedded.ports import LOOPBACK, PortMemory, candidates, choose_port, is_free


def test_a_port_is_remembered_by_whoever_looks_next(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"

    first = PortMemory(file).claim("postgres")

    assert PortMemory(file).recall("postgres") == first
    assert PortMemory(file).claim("postgres") == first


def test_services_get_different_ports(tmp_path: Path) -> None:
    memory = PortMemory(tmp_path / "ports.json")

    assert len({memory.claim(str(number)) for number in range(20)}) == 20


def test_a_port_that_a_stranger_holds_is_given_up(tmp_path: Path) -> None:
    memory = PortMemory(tmp_path / "ports.json")
    taken = memory.claim("broker")
    with socket.create_server((LOOPBACK, taken)):
        fresh = memory.claim("broker", patience_s=0.1)

    assert fresh != taken
    assert memory.recall("broker") == fresh


def test_no_port_is_one_that_the_kernel_gives_to_clients(tmp_path: Path) -> None:
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())

    assert not low <= PortMemory(tmp_path / "ports.json").claim("broker") <= high
    assert candidates()


def test_two_processes_with_one_seed_choose_no_port_alike() -> None:
    """As under Hypothesis, which seeds ``random``."""

    def choose() -> int:
        random.seed(0)
        return choose_port()

    assert len({choose() for _ in range(5)}) > 1


def test_no_port_is_chosen_that_is_taken_and_none_at_all_is_said() -> None:
    with pytest.raises(StackError, match="Stop something"):
        choose_port(candidates())


def test_a_listening_port_is_not_free() -> None:
    with socket.create_server((LOOPBACK, 0)) as server:
        assert not is_free(server.getsockname()[1])


def test_a_port_file_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    file.write_text('{"broker": "http"}')

    with pytest.raises(StateError, match="Remove that file"):
        PortMemory(file).recall("broker")
