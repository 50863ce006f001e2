"""``python -m tests.lingering``: work that tells its process id and never ends by itself."""

import os
import signal

from ingest.parent import hear_asked, tell

if __name__ == "__main__":
    hear_asked()
    tell(progress={"pid": os.getpid()})
    while True:
        signal.pause()
