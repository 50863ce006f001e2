"""Settings of the demo, from the command line and ``DEMO_*``."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSettings:
    """How the demo runs.

    Attributes:
        home: Where logs, spools, ledgers and ``demo.json`` go.
        seconds: Stop sending so long after the first message, drain, report and exit; None:
            replay everything, run the live fleet for ``fleet_seconds``, then stay up.
        gateways: Real gateway processes, one a centre.
        replay_rate_per_s: Real readings a second: ten times a city's morning peak.
            As fast as the gateways take them would only measure the length of the queue.
        terminals: Terminals of the live fleet.
        fleet_rate_per_s: Live readings a second.
        fleet_seconds: How long the fleet runs when ``seconds`` is None.
        session_wait_s: Instead of ten minutes after its last reading, so that one sees cases
            move; everything else is as in production.
        drain_s_max: How long what is on its way may take to arrive.
        api_port: 0 takes any free one.
    """

    home: Path
    seconds: float | None = None
    gateways: int = 3
    replay_rate_per_s: float = 700.0
    terminals: int = 60
    fleet_rate_per_s: float = 50.0
    fleet_seconds: float = 30.0
    session_wait_s: float = 2.0
    drain_s_max: float = 60.0
    databases_kept: int = 2
    api_port: int = 0
