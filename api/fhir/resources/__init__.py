"""Rows to FHIR R4 resources: pure functions that return plain dicts, one file for each resource."""
