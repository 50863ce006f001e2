"""What the console's page *Simulator* may be played to: the demo's gateways, as far as they are up.

Each run of the page leaves a ledger in the demo's folder, which its reconcile counts.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from deploy.embedded.folders import write_private
from simulators.fleet import FleetPlan
from simulators.terminals.tcp import Address


def offer_scenarios(folder: Path, plan: FleetPlan, addresses: Mapping[str, Address]) -> Path:
    """Write it down for the API (``API_CONSOLE__SIMULATOR_FILE``); its path."""
    path = folder / "simulator.json"
    offered = {
        "folder": str(folder),
        "terminals": plan.terminals,
        "seed": plan.seed,
        "gateways": dict(addresses),
    }
    write_private(path, json.dumps(offered))
    return path


def list_played(folder: Path) -> list[Path]:
    """Ledgers of what the page has played."""
    return sorted(folder.glob("console-*.ledger"))
