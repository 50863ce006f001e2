"""Profiles: dated TOML files that hold every clinical number, and what reads them.

Strict on purpose: a key that is missing, unknown, of the wrong type or unit, or that contradicts
another is a ``ProfileError`` with file, line and key. Decimal literals are read as decimals.
"""

from rules.profiles.check import check_profile
from rules.profiles.listing import describe_profile
from rules.profiles.problems import Problem, problem_text
from rules.profiles.versions import list_profiles, load_profile, load_versions, read_profile_file

__all__ = [
    "Problem",
    "check_profile",
    "describe_profile",
    "list_profiles",
    "load_profile",
    "load_versions",
    "problem_text",
    "read_profile_file",
]
