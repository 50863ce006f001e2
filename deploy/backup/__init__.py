"""Backups of the database by PostgreSQL's own programs, restored to an instant, and rehearsed."""
