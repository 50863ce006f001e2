"""A load on a private stack of its own: services, whole system and load from one command."""
