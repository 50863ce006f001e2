"""FHIR R4 at ``/fhir``: what is stored, in the words of HL7. docs/fhir.md has the mapping table."""
