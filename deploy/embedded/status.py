"""What runs, where and since when: the answer of ``suifang stack status``. Holds no secret."""

from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """One service. What is not known (never started) or not so (not running) is None."""

    name: str
    running: bool
    pid: int | None
    version: str | None
    origin: str | None  # "host" or "unpacked": where the programs come from
    host: str
    port: int | None
    since: datetime | None
    data_dir: Path | None
    log: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StackStatus:
    """All services of one stack."""

    home: Path
    root: Path | None  # Where the services' files are; None before the first start.
    services: tuple[ServiceStatus, ...]
    timescaledb: str | None

    @property
    def running(self) -> bool:
        """Whether everything runs."""
        return all(service.running for service in self.services)

    def as_dict(self) -> dict[str, object]:
        """For JSON: paths and times as text."""
        return {
            "running": self.running,
            "home": str(self.home),
            "root": None if self.root is None else str(self.root),
            "timescaledb": self.timescaledb,
            "services": [
                {
                    name: value.isoformat()
                    if isinstance(value, datetime)
                    else str(value)
                    if isinstance(value, Path)
                    else value
                    for name, value in asdict(service).items()
                }
                for service in self.services
            ],
        }
