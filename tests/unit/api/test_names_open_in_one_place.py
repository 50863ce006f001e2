"""Promise: one route opens a name, one resident at a time; nothing else in the program can."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = ("api", "ingest", "deploy", "simulators")


def _calls(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return {
        ast.unparse(node.func).rpartition(".")[2]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    }


def test_only_the_route_of_personal_data_opens_a_name() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    opening = {str(path.relative_to(ROOT)) for path in files if "reveal" in _calls(path)}
    decrypting = {str(path.relative_to(ROOT)) for path in files if "decrypt" in _calls(path)}

    assert opening == {"api/registry/personal.py"}
    names = decrypting - {"ingest/db/webhook_secrets.py"}  # Those are nobody's.
    assert names <= {"ingest/db/keyring.py", "ingest/db/personal.py"}
