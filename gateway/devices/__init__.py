"""Where measurements come from. One file per way in; ``tcp`` is the first.

The seam is one callable. A device is anything that calls ``capture(raw)`` once for each
measurement, ``raw`` being one JSON object with the wire's field names in the very words of
the instrument (``7.00`` stays ``7.00``). The future resolves to the reading's id when the
spool has it on disk; only then may the device's own copy be forgotten. It fails with
``BusyError`` (keep it, try again) while ``RefusedError`` is raised at once (never offer it
again). Readings of one caller keep their order. Whether a value is plausible is not a
device's business: what was measured is sent, and ingest judges it.
"""

import asyncio
from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID

Capture: TypeAlias = Callable[[bytes], asyncio.Future[UUID]]
"""Take one measurement. Raises ``RefusedError`` or ``BusyError``; never waits by itself."""
