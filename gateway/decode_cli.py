"""``suifang gateway decode``: what the bytes of a Bluetooth characteristic say, as JSON.

One value, or a file of byte vectors. Exact: numbers are JSON literals with the device's own
digits. Exit 0: decoded, or no difference; 1: the bytes are malformed, or a vector differs;
2: wrong command line or file.
"""

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from gateway.devices.gatt.catalogue import CATALOGUE, find_characteristic
from gateway.devices.gatt.errors import DecodeError
from gateway.devices.gatt.exact_json import Json, write_json
from gateway.devices.gatt.vectors import (
    VectorFileError,
    Verdict,
    check_vector,
    read_hex,
    read_vectors,
)


def decode(
    *,
    characteristic: Annotated[
        str | None,
        typer.Option(help="Assigned number, such as 2A35; or SFLOAT, FLOAT32, DATETIME."),
    ] = None,
    hex_text: Annotated[
        str | None, typer.Option("--hex", help="The bytes as on the air, hexadecimal.")
    ] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="A file of byte vectors instead of one value.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with what the file expects.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Vectors: one JSON object (a value always is).")
    ] = False,
) -> None:
    """Decode bytes of a Bluetooth characteristic: --characteristic 2A35 --hex …, or --vectors."""
    if vectors is not None:
        if characteristic is not None or hex_text is not None:
            _refuse("say --vectors, or --characteristic with --hex, not both")
        _run_vectors(vectors, check=check, as_json=as_json)
        return
    if characteristic is None or hex_text is None:
        _refuse("say --characteristic and --hex, or --vectors FILE")
    if check:
        _refuse("--check compares a file: say --vectors FILE")
    _run_value(characteristic, hex_text)


def _run_value(name: str, hex_text: str) -> None:
    characteristic = find_characteristic(name)
    if characteristic is None:
        _refuse(f"no decoder for {name!r:.60}; there are: {', '.join(CATALOGUE)}")
    try:
        value = read_hex(hex_text)
    except ValueError as error:
        _refuse(str(error))
    try:
        typer.echo(write_json(characteristic.describe(value)))
    except DecodeError as error:
        rejected: dict[str, Json] = {
            "reason": error.code.value,
            "field": error.field,
            "offset": error.offset,
            "detail": error.detail,
        }
        shown = {"characteristic": characteristic.code, "name": characteristic.name}
        typer.echo(write_json({**shown, "error": rejected, "bytes": value.hex().upper()}))
        raise typer.Exit(1) from None


def _run_vectors(path: Path, *, check: bool, as_json: bool) -> None:
    try:
        verdicts = [check_vector(vector) for vector in _with_progress(read_vectors(path))]
    except VectorFileError as error:
        _refuse(str(error))
    failed = sum(not verdict.passed for verdict in verdicts)
    summary: dict[str, Json] = {
        "vectors": len(verdicts),
        "passed": len(verdicts) - failed,
        "failed": failed,
        "rejected": sum(verdict.rejected is not None for verdict in verdicts),
    }
    if not check:
        summary = {name: summary[name] for name in ("vectors", "rejected")}
    if as_json:
        details = [_as_json(verdict, check=check) for verdict in verdicts]
        typer.echo(write_json({**summary, "results": details}))
    else:
        for verdict in verdicts:
            typer.echo(_as_line(verdict, check=check))
        typer.echo(", ".join(f"{count} {name}" for name, count in summary.items()))
    if check and (failed or not verdicts):
        raise typer.Exit(1)


def _as_json(verdict: Verdict, *, check: bool) -> dict[str, Json]:
    shown: dict[str, Json] = {"id": verdict.id, "characteristic": verdict.characteristic}
    if check:
        shown |= {"passed": verdict.passed, "differences": list(verdict.differences)}
        shown |= {"unlisted": list(verdict.unlisted)}
    return shown | {"rejected": verdict.rejected, "decoded": verdict.decoded or None}


def _as_line(verdict: Verdict, *, check: bool) -> str:
    head = f"{verdict.id} {verdict.characteristic}"
    outcome = f"rejected: {verdict.rejected}" if verdict.rejected else write_json(verdict.decoded)
    if not check:
        return f"{head} {outcome}"
    if not verdict.passed:
        return f"FAIL {head} {'; '.join(verdict.differences)}"
    remarks = [outcome] if verdict.rejected else []
    if left := verdict.decoded.get("_trailing"):
        remarks.append(f"{left} bytes left over")
    if verdict.unlisted:
        remarks.append(f"also decoded: {', '.join(verdict.unlisted)}")
    return " ".join(["pass", head, *([f"({'; '.join(remarks)})"] if remarks else [])])


def _with_progress(vectors: list[Mapping[str, Json]]) -> Iterable[Mapping[str, Json]]:
    """Count on a terminal: a long file is seen to move."""
    for done, vector in enumerate(vectors, start=1):
        yield vector
        if sys.stderr.isatty() and done % 10_000 == 0:
            sys.stderr.write(f"\r{done:,} of {len(vectors):,} vectors    ")


def _refuse(msg: str) -> NoReturn:
    typer.echo(f"suifang gateway decode: {msg}", err=True)
    raise typer.Exit(2)
