"""Readings of one resident, exactly as the device reported them."""
