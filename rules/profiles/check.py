"""What ``suifang rules check`` says about a profile file: every error and every warning.

Text in, problems out; the command reads the file. A text without errors here is one that
``read_profile_file`` loads, and the other way round.
"""

from collections.abc import Iterator
from importlib.resources.abc import Traversable
from typing import Final

from rules.profiles.problems import Problem
from rules.profiles.reader import Reading, find_misnaming, read_text
from rules.profiles.versions import load_profile

_NORM: Final = "cn_nbphs_2017"
"""The profile whose screening age no other exceeds unnoticed."""
_SCREENINGS: Final = ("bp_screening", "glucose_screening_fasting", "glucose_screening_random")


def check_profile(text: str, *, file: str, directory: Traversable | None = None) -> list[Problem]:
    """Everything that is wrong, or worth a look, in the order of the file.

    Args:
        text: Of the profile.
        file: Its name or path; the name has to promise the id and version that it states.
        directory: Where profiles that it extends are looked for, beside the package's own.
    """
    reading = read_text(text, directory=directory)
    misnaming = find_misnaming(reading, file.rpartition("/")[2])
    return sorted([*reading.problems, *([misnaming] if misnaming else []), *_age_gaps(reading)])


def _age_gaps(reading: Reading) -> Iterator[Problem]:
    """Ages that the national norm screens and this profile does not."""
    norm = load_profile(_NORM).bp_screening.age_min
    for table in _SCREENINGS:
        key = f"{table}.age_min"
        begin = reading.values.get(key, 0)
        if begin > norm and key in reading.positions:
            yield reading.warn(
                key,
                f"leaves out ages {norm} to {begin - 1}, which {_NORM} screens",
                "confirm it, or lower this",
            )
