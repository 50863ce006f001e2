"""``make walk``: docs/operations.md on an empty Debian, block after block, with a real systemd.

It takes some minutes. Exit 1 with the block that failed; ``tests.walk.machine`` says what it needs.
"""

import re

from tests.walk import machine

DOCUMENT = machine.ROOT / "docs" / "operations.md"


def packages() -> list[str]:
    """What the document installs: there beforehand, so that it is quick."""
    (line,) = re.findall(r"(?m)^apt-get install .*$", "".join(machine.blocks(DOCUMENT)))
    return [word for word in line.split()[2:] if not word.startswith("-")]


def main() -> None:
    """Walk."""
    with machine.folder_and_mirror(__doc__) as (folder, mirror):
        root = machine.make_debian(folder / "root", [*machine.BASE, *packages()], mirror)
        luggage, walked = machine.make_luggage(folder), folder / "walked"
        machine.copy(root, walked)
        machine.copy(luggage, walked / machine.SOURCE.strip("/"))
        with machine.booted(walked) as pid:
            machine.walk(pid, DOCUMENT)
            machine.say("an empty server has its first reading")


if __name__ == "__main__":
    main()
