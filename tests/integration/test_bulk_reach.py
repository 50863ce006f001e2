"""Promise: lines written at once reach no further than one PUT; who may not is refused by line."""

import json
from pathlib import Path
from typing import Any, Final

from api.auth.permissions import Role
from tests.fix_db import Database
from tests.integration.api_desk import Desk, a_desk
from tests.integration.registry_bench import NOW, PLACES
from tests.integration.security_world import a_principal

SYSTEM: Final = a_principal(Role.CONTRACT_SYSTEM)
NORTH: Final = a_principal(Role.CENTRE_ADMIN, centres="north")
CONTRACT: Final = {"package_id": "plain", "since": "2026-01-05"}


async def _outcomes(desk: Desk, path: str, *lines: dict[str, Any]) -> list[str]:
    answer = await desk.ask(
        NORTH,
        "POST",
        f"/v1/{path}/bulk",
        content="\n".join(map(json.dumps, lines)),
        headers={"Content-Type": "application/x-ndjson"},
    )
    *told, counts = [json.loads(line) for line in answer.text.splitlines()]
    assert counts["lines"] == len(told) == len(lines)
    return [each["outcome"] for each in told]


async def test_lines_about_another_centre_are_refused_and_change_nothing(
    database: Database, tmp_path: Path
) -> None:
    async with a_desk(database.dsn, lambda: NOW, tmp_path) as desk:
        theirs = {
            "residents/ben": {"team_id": "s1"},
            "contracts/b-1": CONTRACT | {"resident_id": "ben"},
        }
        ours = {"residents/anna": {"team_id": "n1"}}
        for path, body in {**PLACES, **theirs, **ours}.items():
            (await desk.ask(SYSTEM, "PUT", f"/v1/{path}", json=body)).raise_for_status()
        before = [(await desk.get(SYSTEM, f"/v1/{path}")).json() for path in theirs]

        residents = await _outcomes(
            desk,
            "residents",
            {"id": "anna", "team_id": "n1", "sex": "female"},
            {"id": "ben", "team_id": "n1"},
            {"id": "new", "team_id": "s1"},
            {"id": "other", "team_id": "n1"},
        )
        contracts = await _outcomes(
            desk,
            "contracts",
            {"id": "a-1", "resident_id": "anna", **CONTRACT},
            {"id": "b-1", "resident_id": "anna", **CONTRACT},
            {"id": "b-2", "resident_id": "ben", **CONTRACT},
            {"id": "o-1", "resident_id": "other", **CONTRACT},
        )

        assert residents == ["changed", "refused", "refused", "created"]
        assert contracts == ["created", "refused", "refused", "created"]
        assert [(await desk.get(SYSTEM, f"/v1/{path}")).json() for path in theirs] == before
