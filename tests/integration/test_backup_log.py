"""The log on the shelf: who counts as its receiver, and what is said when it is not whole.

One server of its own for all of them: each leaves it as it found it.
"""

from collections.abc import Iterator
from threading import Thread

import pytest

from tests.fix_processes import eventually
from tests.integration.backup_bench import SYNCHRONOUS, Installation, running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with running(tmp_path_factory.mktemp("log")) as found:
        yield found


def test_a_base_backup_does_not_pass_for_the_receiver_of_the_log(
    installation: Installation,
) -> None:
    """A commit that waits for the receiver still waits when a base backup was taken meanwhile."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    installation.backup("take")  # Makes its login, which is a commit, too.
    installation.as_superuser(SYNCHRONOUS)
    installation.as_superuser("SELECT pg_reload_conf()")
    commit = Thread(target=installation.as_superuser, args=("CREATE TABLE acknowledged ()",))
    commit.start()
    try:
        eventually(lambda: installation.as_superuser(waiting) == [(1,)], within_s=120)
        installation.backup("take")
        assert installation.as_superuser(waiting) == [(1,)]
    finally:
        installation.as_superuser("ALTER SYSTEM RESET synchronous_standby_names")
        installation.as_superuser("SELECT pg_reload_conf()")
        commit.join()
