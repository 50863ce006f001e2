"""Settings of what comes in at ``/fhir``."""

from pydantic import BaseModel, ConfigDict, PositiveInt


class FhirSettings(BaseModel):
    """``API_FHIR__PROFILE``, ... Nothing is received in larger pieces than these."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    profile: str = "wuzhou"  # The deployment's, for emergencies at once: as INGEST_PROFILE.
    bundle_bytes_max: PositiveInt = 16_777_216  # Synthea's are a few MiB for a whole life.
    bundle_entries_max: PositiveInt = 5_000
