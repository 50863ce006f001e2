"""MQTT to TimescaleDB to cases: the server side of a reading's way.

``ingest`` stores and judges emergencies, ``judge`` folds cases, ``ingest.db`` owns the schema
and is all that other folders may import.
"""
