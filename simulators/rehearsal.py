"""``python -m simulators.rehearsal``: one scenario against running gateways, for the console.

Asked by one line of JSON (gateways, scenario, ledger); tells counts while it runs, then all of
them. Told to end it sends nothing new, and its ledger says what was sent.
"""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.wire.times import utc_now
from ingest.parent import hear_asked, tell
from simulators.errors import SimulatorError
from simulators.fleet import FleetPlan, run_fleet
from simulators.ledger import Ledger
from simulators.recordings import builtin_recording
from simulators.replay import plan_replay, run_replay
from simulators.sites import sites_of
from simulators.tally import Tally


class Rehearsal:
    """One run; its latest counts."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._asked = asked
        self.tally = Tally()

    def note(self, tally: Tally) -> None:
        """Keep and tell the counts."""
        self.tally = tally
        tell(progress=tally.as_dict())

    async def run(self) -> None:
        """To its end, or until cancelled."""
        asked = self._asked
        gateways = {name: (str(at[0]), int(at[1])) for name, at in asked["gateways"].items()}
        sites = sites_of(list(gateways))
        with Ledger(Path(asked["ledger"])) as book:
            if asked["kind"] == "replay":
                plan = plan_replay(
                    utc_now(), builtin_recording(), sites, rate_per_s=asked["rate_per_s"]
                )
                self.note(
                    await run_replay(
                        *(plan, gateways, book),
                        clock=utc_now,
                        stop_after_s=asked["seconds"],
                        on_progress=self.note,
                    )
                )
                return
            fleet = FleetPlan(
                terminals=asked["terminals"],
                rate_per_s=asked["rate_per_s"],
                duration_s=asked["seconds"],
                seed=asked["seed"],
                emergency_rate=asked["emergency_rate"],
                rehearsal=Path(asked["ledger"]).stem,
            )
            self.note(
                await run_fleet(
                    *(fleet, sites, gateways, book), clock=utc_now, on_progress=self.note
                )
            )


async def _run(rehearsal: Rehearsal) -> None:
    task = asyncio.create_task(rehearsal.run(), name="rehearsal")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


def main() -> None:
    """Run one scenario."""
    rehearsal = Rehearsal(hear_asked())
    try:
        asyncio.run(_run(rehearsal))
    except SimulatorError as error:
        tell(problem=str(error))
    tell(result=rehearsal.tally.as_dict())


if __name__ == "__main__":
    main()
