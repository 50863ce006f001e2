"""The private stack: PostgreSQL with TimescaleDB and Mosquitto, without root and without Docker.

It must never touch a service of the host, nor write outside the folders it made itself.
"""
