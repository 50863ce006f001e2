"""Worklist: which cases ask for something, by risk and by day."""
