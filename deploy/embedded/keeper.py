"""Takes a stack down when the command that uses it was killed and cannot: ``python -m`` HOME.

Started by ``deploy.embedded.sole``, in a session of its own, with the command's pipe as standard
input and the command's lock among its open files. The word ``done`` means that nothing is left to
do; the end of the input without it means that the command is gone, whatever ended it. It imports
nothing before it must: it waits beside measurements.
"""

import sys
from pathlib import Path
from typing import Final

DONE: Final = b"done\n"


def main() -> None:
    """Wait; then stop what the command would have stopped."""
    if sys.stdin.buffer.read() == DONE:
        return
    from deploy.embedded.stack import Stack  # noqa: PLC0415 - only when it is needed

    Stack(Path(sys.argv[1])).down()


if __name__ == "__main__":
    main()
