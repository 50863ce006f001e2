"""Alerts: what was seen, and the live feed of what changes."""
