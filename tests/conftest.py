"""Fixture plugins, one file per outside thing, and nothing else."""

pytest_plugins = [
    "tests.fix_stack",
    "tests.fix_db",
    "tests.fix_broker",
    "tests.fix_clock",
    "tests.fix_processes",
    "tests.fix_browser",
    "tests.fix_console",
]
