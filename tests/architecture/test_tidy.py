"""The house style that no linter knows: sizes, names, docstrings, no broad excepts, sources."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("gateway", "ingest", "rules", "api", "simulators", "deploy")
TOP_LEVEL = {
    *FOLDERS,
    "tests",
    "docs",
    "pyproject.toml",
    "requirements.lock",
    "Makefile",
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
}
FILES = sorted(path for folder in (*FOLDERS, "tests") for path in (ROOT / folder).rglob("*.py"))
CODE = [path for path in FILES if path.relative_to(ROOT).parts[0] != "tests"]
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "manager", "misc"}
LINES_MAX = 400
FUNCTION_LINES_MAX = 60


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def test_the_files_are_found() -> None:
    assert len(CODE) > 80


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_file_is_readable_in_one_sitting(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) <= LINES_MAX


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_function_fits_on_a_page(path: Path) -> None:
    long = {
        node.name: node.end_lineno - node.lineno
        for node in _functions(_tree(path))
        if node.end_lineno is not None and node.end_lineno - node.lineno > FUNCTION_LINES_MAX
    }
    assert not long


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_module_says_what_it_is(path: Path) -> None:
    assert ast.get_docstring(_tree(path)) or not path.read_text("utf-8").strip()


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_no_module_has_a_name_that_says_nothing(path: Path) -> None:
    assert BANNED_NAMES.isdisjoint({*path.relative_to(ROOT).with_suffix("").parts})


@pytest.mark.parametrize("path", [p for p in CODE if p.name != "cli.py"], ids=_name)
def test_only_commands_catch_everything(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ExceptHandler):
            caught = "BaseException" if node.type is None else ast.unparse(node.type)
            assert "Exception" not in re.findall(r"\w+", caught)
            reraises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
            assert "BaseException" not in caught or reraises


@pytest.mark.parametrize("path", CODE, ids=_name)
def test_every_queue_has_a_bound(path: Path) -> None:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {
            "asyncio.Queue",
            "queue.Queue",
            "queue.SimpleQueue",
            "Queue",
        }:
            assert node.args or any(keyword.arg == "maxsize" for keyword in node.keywords)


@pytest.mark.parametrize("path", CODE, ids=_name)
def test_no_hidden_clock(path: Path) -> None:
    """Only ``utc_now`` reads the time of day; everything else takes a clock."""
    if path.name == "times.py":
        return
    calls = {ast.unparse(n.func) for n in ast.walk(_tree(path)) if isinstance(n, ast.Call)}
    assert calls.isdisjoint({"datetime.now", "datetime.utcnow", "time.time", "date.today"})


@pytest.mark.parametrize("path", sorted((ROOT / "ingest").rglob("*.sql")) + CODE, ids=_name)
def test_no_sql_reads_the_clock(path: Path) -> None:
    text = re.sub(r"--.*|#.*|\"\"\"(?!\n)[^\"]*\"\"\"", "", path.read_text("utf-8"))
    assert not re.search(
        r"(?i)\b(now|clock_timestamp|statement_timestamp)\s*\(\)|current_timestamp|current_date",
        "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("No ``now")),
    )


@pytest.mark.parametrize("path", sorted((ROOT / "rules/profiles").glob("*.toml")), ids=_name)
def test_every_limit_of_a_profile_names_its_source(path: Path) -> None:
    profile = tomllib.loads(path.read_text("utf-8"))
    tables = {name: part for name, part in profile.items() if isinstance(part, dict)}
    assert tables
    for name, part in tables.items():
        assert part.get("source"), name
        for tier in part.get("tier", []):
            assert tier.get("source"), name


def test_decisions_are_numbered_once_and_without_gaps() -> None:
    numbers = sorted(int(path.name[:4]) for path in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert numbers
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_top_level_is_the_agreed_one() -> None:
    shown = {
        path.name
        for path in ROOT.iterdir()
        if not path.name.startswith(".")
        and path.name not in {"dist", "build"}
        and not path.name.endswith(".egg-info")
    }
    assert shown == TOP_LEVEL


def test_the_lock_file_names_no_index_and_hashes_everything() -> None:
    text = (ROOT / "requirements.lock").read_text("utf-8")
    assert not re.search(r"(?m)^\s*--(?!hash=)|://", text)
    pins = re.findall(r"(?m)^[a-z0-9][\w.-]*==", text)
    assert len(pins) > 40
    for block in re.split(r"(?m)^(?=[a-z0-9])", text)[1:]:
        assert "--hash=sha256:" in block, block.splitlines()[0]
