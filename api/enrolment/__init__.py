"""Enrolment of gateways: certificates for tokens, and for certificates that end soon."""
