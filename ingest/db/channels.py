"""Channels of LISTEN and NOTIFY that more than one process knows."""

from typing import Final

GATEWAYS: Final = "gateways"
"""Said with a gateway's id when it is enrolled or revoked; ingest listens."""
