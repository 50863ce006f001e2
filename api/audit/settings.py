"""Settings of the audit log."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveInt


class AuditSettings(BaseModel):
    """``API_AUDIT__SEAL_MS``, ``API_AUDIT__KEY_FILE``, ..."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_file: Path | None = None  # Its keys mark seals, which nobody can make again without them.
    waiting_max: PositiveInt = 5_000  # Reads whose entry waits to be written.
    batch_max: PositiveInt = 500  # Entries in one transaction.
    handles_max: PositiveInt = 100_000  # Of residents, kept in memory: 20 MB.
    write_ms_max: PositiveInt = 5_000  # Then the read is refused: what is not noted is not shown.
    seal_ms: PositiveInt = 5_000
    sealed_entries_max: PositiveInt = 5_000  # In one seal.
