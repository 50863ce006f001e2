"""How Suifang is run: the ``suifang`` command, the private stack, configuration files."""
