"""Promise: docs/contract-system.md works as it stands, command by command, against the real API.

Needs curl 7.82 or later (``--json``). The commands of the page run in one shell; a curl settings
file makes each print its status, nothing else is added.
"""

import asyncio
import csv
import io
import os
import re
from pathlib import Path

import pytest

from api.exports.national_form import HEADINGS
from tests.fix_db import Database
from tests.integration.api_processes import an_api
from tests.integration.registry_bench import make_key_file

PAGE = Path(__file__).parents[2] / "docs" / "contract-system.md"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_STATUS = re.compile(r"^STATUS (\d+) (\w+) http://[^/]+(\S*)$", re.MULTILINE)
RESIDENT = "/v1/residents/r-5b1a7a0f6f6a4f5e8f0f3d5c2a9b7e11"
EXPECTED = [
    ("201", "PUT", "/v1/centres/cx-longgang"),
    ("201", "PUT", "/v1/teams/cx-longgang-3"),
    ("201", "PUT", "/v1/packages/hypertension"),
    ("201", "PUT", "/v1/staff/d-1042"),
    ("201", "PUT", RESIDENT),
    ("200", "GET", RESIDENT),
    ("200", "PUT", RESIDENT),
    ("412", "PUT", RESIDENT),
    ("200", "GET", f"{RESIDENT}/history"),
    ("201", "PUT", "/v1/contracts/2026-000017"),
    ("200", "PUT", "/v1/contracts/2026-000017"),
    ("200", "POST", "/v1/residents/bulk"),
    ("200", "POST", "/v1/contracts/bulk"),
    ("200", "PUT", RESIDENT),
    ("200", "GET", f"{RESIDENT}/personal-data"),
    ("204", "DELETE", f"{RESIDENT}/personal-data"),
    ("200", "GET", "/v1/residents?team=cx-longgang-3&limit=2"),
    ("422", "PUT", "/v1/residents/r-x"),
    ("200", "GET", "/v1/cases?team=cx-longgang-3&sort=risk"),
    ("201", "PUT", f"{RESIDENT}/contact-attempts/5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e04"),
    ("201", "PUT", f"{RESIDENT}/visits/5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e01"),
    ("201", "PUT", f"{RESIDENT}/withdrawals/5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e09"),
    ("200", "GET", f"{RESIDENT}/followups"),
    ("200", "GET", "/v1/exports/followups?from=2026-02-01&to=2026-02-28&team=cx-longgang-3"),
    ("200", "GET", "/v1/events?after=0&limit=2"),
]


def _prepare(folder: Path) -> str:
    """A settings file for curl beside the script of all blocks; the script."""
    (folder / ".curlrc").write_text(
        'write-out = "\\nSTATUS %{http_code} %{method} %{url_effective}\\n"\n'
    )
    return "set -eu\n" + "\n".join(_BLOCK.findall(PAGE.read_text("utf-8")))


def _answer_of(path: str, text: str) -> str:
    """What came between the status of the command before and that of the first one of ``path``."""
    statuses = [*_STATUS.finditer(text)]
    (place,) = (n for n, status in enumerate(statuses) if status[3].startswith(path))
    return text[statuses[place - 1].end() : statuses[place].start()].strip().lstrip("\ufeff")


@pytest.fixture
def script(tmp_path: Path) -> str:
    return _prepare(tmp_path)


async def test_the_page_can_be_followed_with_curl(
    database: Database, tmp_path: Path, script: str
) -> None:
    async with an_api(database, API_KEY_FILE=str(make_key_file(tmp_path))) as api:
        shell = await asyncio.create_subprocess_exec(
            *("bash", "-c", script),
            env={
                **os.environ,
                "API": str(api.client.base_url).rstrip("/"),
                "TOKEN": "any",
                "CURL_HOME": str(tmp_path),
                "NO_PROXY": "*",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(shell.communicate(), 60)
    text = said.decode()

    assert shell.returncode == 0, text
    assert _STATUS.findall(text) == EXPECTED, text
    assert 'etag: "1"' in text
    assert '"outcome":"created"' in text
    assert '"lines":2,"created":1,"changed":0,"unchanged":0,"refused":1' in text
    assert '"name":"某某"' in text
    assert '"withdrawn_by":"5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e09"' in text
    (visit,) = csv.DictReader(io.StringIO(_answer_of("/v1/exports/followups?", text)))
    assert list(visit) == HEADINGS
    assert visit["随访记录编号"] == "5e0d7a1e-8a53-4d3c-9a58-2f6a5c1b9e01"
    assert visit["居民编号"] == RESIDENT.rpartition("/")[2]
    assert (visit["团队编号"], visit["病种"]) == ("cx-longgang-3", "高血压")
    assert (visit["随访日期"], visit["下次随访日期"]) == ("2026-02-16", "2026-03-02")
    assert visit["收缩压(mmHg)[DE04.10.174.00]"] == "146"
    assert visit["舒张压(mmHg)[DE04.10.176.00]"] == "88"
    assert '"next_after":' in text
