"""A real Prometheus, the distribution's, scraping real processes. Absent is a failure."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
import yaml

from tests.fix_ports import free_port

ROOT: Final = Path(__file__).parents[1]
SHIPPED: Final = ROOT / "deploy" / "prometheus"
UNPACKED: Final = ROOT / ".suifang" / "prometheus" / "usr" / "bin"
_DURATION: Final = re.compile(r"(?<=\[)\d+[smh](?=])|(?<=for: )\d+[smh]$", re.MULTILINE)
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600}


def find_program(name: str) -> str:
    """Where ``prometheus`` or ``promtool`` is; fails with what to do when it is nowhere."""
    found = shutil.which(name) or shutil.which(name, path=UNPACKED)
    if found is None:
        pytest.fail(f"no {name}: run `make prometheus` (`make test` does), or install prometheus")
    return found


def shorten(rules: str, divisor: int) -> str:
    """The rules with every duration divided, a second at least, and nothing else changed."""

    def divided(match: re.Match[str]) -> str:
        text = match.group()
        return f"{max(1, int(text[:-1]) * _SECONDS[text[-1]] // divisor)}s"

    return _DURATION.sub(divided, rules)


class Prometheus:
    """Asks a running one."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """An instant vector; fails where the expression is refused."""
        response = await self._client.get("/api/v1/query", params={"query": expression})
        assert response.status_code == 200, f"{expression}\n{response.text}"
        found = response.json()["data"]
        assert found["resultType"] in {"vector", "scalar"}, expression
        result: list[dict[str, Any]] = found["result"]
        return result

    async def firing(self) -> set[str]:
        """Names of the alerts that fire now."""
        response = await self._client.get("/api/v1/alerts")
        alerts = response.raise_for_status().json()["data"]["alerts"]
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    async def fired(self) -> set[str]:
        """Names of the alerts that fired at any time since the start."""
        fired = 'max by (alertname) (max_over_time(ALERTS{alertstate="firing"}[1h]))'
        return {each["metric"]["alertname"] for each in await self.query(fired)}


@asynccontextmanager
async def a_prometheus(
    folder: Path, ports: Mapping[str, int], *, divisor: int
) -> AsyncIterator[Prometheus]:
    """The shipped configuration with other targets and shorter times, on a free port."""
    config = yaml.safe_load((SHIPPED / "prometheus.yml").read_text("utf-8"))
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "500ms"}
    for job in config["scrape_configs"]:
        port = ports[job["job_name"].removeprefix("suifang-")]
        job.pop("file_sd_configs", None)
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    config["scrape_configs"].append(
        {
            "job_name": "suifang-gateway",
            "static_configs": [{"targets": [f"127.0.0.1:{ports['gateway']}"]}],
        }
    )
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config), "utf-8")
    rules = (SHIPPED / "alerts.yml").read_text("utf-8")
    (folder / "alerts.yml").write_text(shorten(rules, divisor), "utf-8")
    port = free_port()
    address = f"127.0.0.1:{port}"
    with (folder / "prometheus.log").open("w") as log:
        process = await asyncio.create_subprocess_exec(
            find_program("prometheus"),
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address={address}",
            "--log.level=warn",
            stderr=log,
        )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://{address}", timeout=30, trust_env=False
        ) as client:
            await _await_ready(client)
            yield Prometheus(client)
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 60)


async def _await_ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(120):
        while True:
            try:
                if (await client.get("/-/ready")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.1)
