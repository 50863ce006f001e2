"""Loads profiles: those of the package, and those that a deployment keeps in a directory.

The only files the rules ever read. A profile has one file for each version; the version that
applies is the latest whose ``valid_from`` is not after the reading's local day, and before the
first ``valid_from`` it is the first version, so that no reading is without limits.
"""

from functools import cache
from importlib.resources.abc import Traversable
from itertools import combinations

from rules.errors import ProfileError
from rules.profile import Profile
from rules.profiles.builder import build_profile
from rules.profiles.files import find_files, list_ids
from rules.profiles.problems import Problem
from rules.profiles.reader import Reading, find_misnaming, read_text


def list_profiles(directory: Traversable | None = None) -> list[str]:
    """Ids of the profiles of the package, and of a further directory, sorted.

    Raises:
        ProfileError: The directory cannot be read.
    """
    return list_ids(directory)


@cache
def load_profile(profile_id: str) -> Profile:
    """The newest version of a packaged profile, such as ``wuzhou``.

    Raises:
        ProfileError: As ``load_versions``.
    """
    return load_versions(profile_id)[-1]


def load_versions(profile_id: str, directory: Traversable | None = None) -> tuple[Profile, ...]:
    """All versions of a profile, ascending by ``valid_from``.

    Args:
        profile_id: As its files are named: ``<id>.toml`` or ``<id>-<version>.toml``.
        directory: A deployment's own profiles, beside the package's. It may add versions to a
            packaged profile, never replace one.

    Raises:
        ProfileError: No such profile; a file cannot be used; or two versions share their name
            or ``valid_from``.
    """
    found = []
    for each in find_files(profile_id, directory):
        reading = read_text(each.text, directory=directory)
        profile = _build(reading, each.file)
        misnamed = find_misnaming(reading, each.file)
        if misnamed:
            raise _refusal(misnamed, each.file)
        found.append((profile.valid_from, each.file, profile))
    if not found:
        there_are = ", ".join(list_ids(directory))
        problem = f"no profile has this id; there are {there_are}"
        raise ProfileError(profile_id, "", problem)
    found.sort(key=lambda row: row[:2])
    for (_, file, profile), (_, later_file, later) in combinations(found, 2):
        for key in ("version", "valid_from"):
            if getattr(profile, key) == getattr(later, key):
                raise ProfileError(later_file, key, f"is also that of {file}; state another")
    return tuple(profile for _, _, profile in found)


def read_profile_file(text: str, *, file: str, directory: Traversable | None = None) -> Profile:
    """Turn the text of a profile file into a ``Profile``, whatever the file's name.

    Args:
        text: TOML.
        file: How to name it in an error.
        directory: Where profiles that it extends are looked for, beside the package's own.

    Raises:
        ProfileError: The first error in the text, with its line. ``check_profile`` lists all.
    """
    return _build(read_text(text, directory=directory), file)


def _build(reading: Reading, file: str) -> Profile:
    if reading.errors:
        raise _refusal(reading.errors[0], file)
    return build_profile(reading.values)


def _refusal(problem: Problem, file: str) -> ProfileError:
    return ProfileError(file, problem.key, problem.sentence, line=problem.line)
