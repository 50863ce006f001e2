"""Simulator: play a scenario to the private stack. Nowhere else: there it does not exist."""
