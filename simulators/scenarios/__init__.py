"""Scenarios: what happens in a made-up district, told in TOML, and what must come of it.

``reader`` reads a file strictly, ``script`` turns it into dated happenings, ``disturb`` makes them
go wrong on purpose, ``expectations`` says whether the system did what it must. Who plays them in
virtual time is ``deploy.rehearsal``.
"""
