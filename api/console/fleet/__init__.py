"""Fleet: gateways and terminals, those that are silent first; enrolment and revocation."""
