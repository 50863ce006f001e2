"""From FHIR to what we store: pure functions that map exactly, or refuse with path and value."""
