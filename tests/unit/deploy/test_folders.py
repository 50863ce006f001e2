"""What the stack writes is closed to others, and what others could change is refused."""

import os
import stat
import threading
from pathlib import Path

import pytest

from deploy.embedded.errors import BusyError, StateError, UnsafeFolderError
from deploy.embedded.folders import (
    Account,
    hold_lock,
    make_folder,
    make_home,
    read_object,
    recall_layout,
    require_ours,
    settle_layout,
    write_private,
)

CALLER = Account(os.geteuid(), os.getegid(), dropped=False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def silent(_step: str) -> None:
    """Nobody listens."""


def test_a_private_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_private(tmp_path / "secret", "x")
        make_folder(tmp_path / "folder", CALLER)
    finally:
        os.umask(before)

    assert mode(tmp_path / "secret") == 0o600
    assert mode(tmp_path / "folder") == 0o700


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    file = tmp_path / "state"
    write_private(file, "old")

    with pytest.raises(UnicodeEncodeError):
        write_private(file, "new \ud800")

    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)

    with pytest.raises(UnsafeFolderError, match="writable by others"):
        require_ours(folder)


def test_a_link_in_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")

    with pytest.raises(UnsafeFolderError, match="is not a folder"):
        make_folder(tmp_path / "link", CALLER)


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    """Root can give one away; anybody else is shown one that is root's."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    if os.geteuid() == 0:
        os.chown(folder, 12_345, 12_345)
    else:
        folder = Path("/usr")

    with pytest.raises(UnsafeFolderError, match=f"belongs to uid {folder.stat().st_uid}"):
        make_home(folder)


def test_the_chosen_place_is_remembered(tmp_path: Path) -> None:
    home = tmp_path / ".suifang"
    assert recall_layout(home) is None

    make_home(home)
    settled = settle_layout(home)
    try:
        assert recall_layout(home) == settled
    finally:
        settled.root.rmdir()
    assert recall_layout(home) is None


def test_a_second_command_waits_and_then_says_who_is_in_the_way(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    told: list[str] = []
    with hold_lock(lock, silent), pytest.raises(BusyError), hold_lock(lock, told.append, 0.1):
        pytest.fail("two commands at a time")

    assert told == ["waiting for another command to finish"]


def test_a_freed_lock_lets_the_next_command_in(tmp_path: Path) -> None:
    lock, order = tmp_path / "lock", list[str]()

    def second() -> None:
        with hold_lock(lock, silent, 5):
            order.append("second")

    thread = threading.Thread(target=second)
    with hold_lock(lock, silent):
        thread.start()
        order.append("first")
    thread.join(5)

    assert order == ["first", "second"]


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_damaged_memory_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(text)

    with pytest.raises(StateError, match=r"secrets\.json"):
        read_object(file)
