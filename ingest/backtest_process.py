"""``python -m ingest.backtest_process``: a back-test for a page, in a process of its own.

Asked by one line of JSON (connection string, two profiles, two days); tells how far it is, then the
result. It works as a role that reads and can change nothing. Of residents it
tells how many are affected, never who.
"""

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

from ingest.backtest import Question, backtest
from ingest.db import residents
from ingest.db.connections import ProcessRole, connect
from ingest.db.errors import DatabaseError
from ingest.parent import hear_asked, tell
from ingest.profiles import Profiles
from rules.errors import ProfileError


async def _ask(dsn: str, question: Question) -> dict[str, Any]:
    name, role = "suifang-backtest", ProcessRole.BACKTEST
    async with await connect(dsn, application_name=name, autocommit=True, role=role) as opened:
        total, done = await residents.count(opened), 0
        tell(progress={"done": 0, "total": total})

        def note(looked_at: int) -> None:
            nonlocal done
            done += looked_at
            tell(progress={"done": done, "total": total})

        record = (await backtest(opened, question, note)).as_record(question)
    record.pop("affected")
    return record


def main() -> None:
    """Answer one question."""
    asked = hear_asked()
    directory = None if asked["directory"] is None else Path(asked["directory"])
    try:
        question = Question(
            before=Profiles(asked["before"], directory),
            after=Profiles(asked["after"], directory),
            first=date.fromisoformat(asked["first"]),
            last=date.fromisoformat(asked["last"]),
        )
        tell(result=asyncio.run(_ask(asked["dsn"], question)))
    except (DatabaseError, ProfileError) as error:
        tell(problem=str(error))


if __name__ == "__main__":
    main()
