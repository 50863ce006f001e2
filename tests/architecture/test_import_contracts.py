"""Who may import whom is enforced by a tool, and the tool is run."""

import subprocess
import sys
from pathlib import Path


def test_import_contracts_hold() -> None:
    command = Path(sys.executable).with_name("lint-imports")
    said = subprocess.run(
        [command, "--no-cache"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )

    assert said.returncode == 0, said.stdout
    assert "7 kept, 0 broken" in said.stdout
