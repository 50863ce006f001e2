"""Places that do not keep what they say they keep are named; an ordinary disk is not."""

from pathlib import Path

import pytest

from gateway.spool_place import find_doubts
from gateway.spool_thread import open_spool
from tests.unit.gateway.gateway_builders import some_settings

ROOT = "22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"


@pytest.fixture(autouse=True)
def nothing_preloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LD_PRELOAD", raising=False)


def doubts(folder: Path, line: str) -> list[str]:
    mount = f"30 22 0:30 / {str(folder).replace(' ', chr(92) + '040')} {line}"
    return find_doubts(folder / "spool.db", mounts=f"{ROOT}\n{mount}\n")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        pytest.param("rw - tmpfs tmpfs rw", "lies in memory", id="tmpfs"),
        pytest.param("rw - nfs4 nas:/x rw,hard", "another machine's", id="nfs"),
        pytest.param("rw - vfat /dev/sda1 rw", "a power cut ruins", id="vfat"),
        pytest.param("rw - ext4 /dev/sda1 rw,nobarrier", "without barriers", id="nobarrier"),
        pytest.param("rw,barrier=0 - ext4 /dev/sda1 rw", "without barriers", id="barrier-0"),
    ],
)
def test_a_place_that_lies_is_named_with_a_remedy(tmp_path: Path, line: str, word: str) -> None:
    folder = tmp_path / "a place"
    folder.mkdir()

    (doubt,) = doubts(folder, line)

    assert word in doubt
    assert str(folder) in doubt


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "f2fs", "overlay"])
def test_an_ordinary_disk_is_not_doubted(tmp_path: Path, kind: str) -> None:
    assert doubts(tmp_path, f"rw,relatime master:1 - {kind} /dev/sda1 rw") == []
    assert find_doubts(tmp_path / "spool.db", mounts="nonsense\n") == []


def test_a_mount_above_or_beside_says_nothing(tmp_path: Path) -> None:
    beside = f"30 22 0:30 / {tmp_path}x rw - tmpfs tmpfs rw\n31 22 0:31 / /pro rw - nfs a:/ rw"

    assert find_doubts(tmp_path / "spool.db", mounts=f"{ROOT}\n{beside}\n") == []


async def test_a_library_that_swallows_fsync_is_told_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("LD_PRELOAD", "/usr/lib/libeatmydata.so")

    async with open_spool(some_settings(tmp_path)):
        pass

    assert "fsync does nothing" in caplog.text
