"""Commands ``suifang rules evaluate``, ``check`` and ``show``: what needs no database."""

import json
import sys
from dataclasses import asdict
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from rules.errors import RulesError
from rules.indicator_cases import evaluate_indicator_case
from rules.profiles import (
    check_profile,
    describe_profile,
    list_profiles,
    load_versions,
    problem_text,
)
from rules.worked.compare import differences
from rules.worked.evaluate import evaluate_case

evaluate_app = typer.Typer()
check_app = typer.Typer()
show_app = typer.Typer()
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
ExistingFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False)]


def _fail(problem: str, *, code: int = 2) -> NoReturn:
    sys.stderr.write(f"suifang: {problem}\n")
    raise typer.Exit(code)


def _plain(value: object) -> float | str:
    return float(value) if isinstance(value, Decimal) else str(value)


@evaluate_app.command()
def evaluate(
    file: ExistingFile,
    *,
    as_json: AsJson = False,
    check: Annotated[
        bool, typer.Option("--check", help="Compare with `expected`; exit 1 on a difference.")
    ] = False,
    only: Annotated[str | None, typer.Option("--case", help="One case by its id.")] = None,
) -> None:
    """Judge a file of worked cases with the live engine."""
    content = _read(file)
    cases = [*content.get("cases", []), *content.get("indicator_cases", [])]
    if only is not None:
        cases = [case for case in cases if case.get("id") == only]
        if not cases:
            _fail(f"{file}: no case has the id {only}")
    results = [_evaluate(file, case, check=check) for case in cases]
    different = [result for result in results if result.get("differences")]
    unread = [result for result in results if "error" in result]
    if as_json:
        report: dict[str, Any] = {"cases": results}
        if check:
            report["matched"] = len(results) - len(different) - len(unread)
            report["different"] = [result["id"] for result in different]
        sys.stdout.write(json.dumps(report, default=_plain, ensure_ascii=False, indent=1) + "\n")
    else:
        _tell(results, check=check)
    for result in unread:
        sys.stderr.write(f"suifang: {file}: {result['error']}\n")
    if different or unread:
        raise typer.Exit(2 if unread else 1)


def _read(file: Path) -> dict[str, Any]:
    try:
        content: Any = json.loads(file.read_bytes(), parse_float=Decimal, parse_constant=str)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        _fail(f"{file}: is not JSON: {error}")
    found: dict[str, Any] = content if isinstance(content, dict) else {"cases": content}
    groups = [found.get(name, []) for name in ("cases", "indicator_cases")]
    if not all(
        isinstance(cases, list) and all(isinstance(case, dict) for case in cases)
        for cases in groups
    ) or not any(groups):
        _fail(f"{file}: holds no cases; expected an object with a list `cases`")
    return found


def _evaluate(file: Path, case: dict[str, Any], *, check: bool) -> dict[str, Any]:
    indicator = "events" not in case
    try:
        result = evaluate_indicator_case(case) if indicator else evaluate_case(case)
    except RulesError as error:
        return {"id": case.get("id"), "error": str(error)}
    told = {"id": case.get("id"), **result}
    if check:
        expected = case.get("expected")
        if not isinstance(expected, dict):
            _fail(f"{file}: case {case.get('id')} has no `expected` to compare with")
        told["differences"] = (
            _indicator_differences(expected, result)
            if indicator
            else differences(_with_third(case, expected), result)
        )
    return told


def _with_third(case: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
    """Third readings asked for stand beside ``expected`` in the file."""
    named = "needs_third_reading"
    return {**expected, **({named: case[named]} if named in case else {})}


def _indicator_differences(expected: dict[str, Any], result: dict[str, Any]) -> list[str]:
    return [
        f"{name} is {result.get(name)}, expected {value}"
        for name, value in expected.items()
        if result.get(name) != value
    ]


def _tell(results: list[dict[str, Any]], *, check: bool) -> None:
    for result in results:
        found = result.get("differences", [])
        verdict = "cannot be read" if "error" in result else ""
        verdict = verdict or ("differs" if found else "ok" if check else "")
        sys.stdout.write(f"{result['id']} {verdict}".rstrip() + "\n")
        lines = found if check else _lines(result)
        sys.stdout.write("".join(f"  {line}\n" for line in lines))
    if check:
        different = sum(bool(each.get("differences")) or "error" in each for each in results)
        sys.stdout.write(f"{len(results) - different} of {len(results)} cases match\n")


def _lines(result: dict[str, Any]) -> list[str]:
    if "error" in result:
        return [str(result["error"])]
    if "alerts" not in result:
        return [f"{name}: {value}" for name, value in result.items() if name != "id"]
    alerts = [
        f"alert {alert['code']} {alert['status']}, anchor {alert['anchor']}, due {alert['due']}"
        for alert in result["alerts"]
    ]
    cases = [f"case {name}: {case['state']}" for name, case in result["cases"].items()]
    return [*alerts, *cases]


@check_app.command()
def check(file: ExistingFile, *, as_json: AsJson = False) -> None:
    """Validate a profile: every problem with its line and a remedy. Exit 1 on an error."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        _fail(f"{file}: is not UTF-8: {error}")
    problems = check_profile(text, file=str(file), directory=file.parent)
    errors = sum(problem.severity == "error" for problem in problems)
    if as_json:
        listed = [asdict(problem) for problem in problems]
        report = {"file": str(file), "errors": errors, "problems": listed}
        sys.stdout.write(json.dumps(report, ensure_ascii=False) + "\n")
    else:
        for problem in problems:
            sys.stdout.write(problem_text(problem, file=str(file)) + "\n")
        sys.stdout.write(f"{file}: {errors} errors, {len(problems) - errors} warnings\n")
    if errors:
        raise typer.Exit(1)


@show_app.command()
def show(
    name: Annotated[
        str | None, typer.Argument(help="Profile; without it: which there are.")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List profiles, or every number of one with its source."""
    names = list_profiles() if name is None else [name]
    try:
        versions = {each: load_versions(each) for each in names}
    except RulesError as error:
        _fail(str(error))
    listed: list[dict[str, Any]] = [
        {
            "id": profile.id,
            "version": profile.version,
            "valid_from": profile.valid_from.isoformat(),
            "rules": [
                {"rule": rule, "limit": limit, "source": source}
                for rule, limit, source in describe_profile(profile)
            ],
        }
        for profiles in versions.values()
        for profile in profiles
    ]
    if as_json:
        sys.stdout.write(json.dumps({"profiles": listed}, ensure_ascii=False) + "\n")
        return
    for each in listed:
        head = f"{each['id']} version {each['version']}, valid from {each['valid_from']}\n"
        sys.stdout.write(head)
        if name is not None:
            for line in each["rules"]:
                sys.stdout.write(f"  {line['rule']}: {line['limit']}\n    {line['source']}\n")
