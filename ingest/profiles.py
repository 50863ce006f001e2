"""Which profile judges whom: the deployment's, a centre's, or that of a contract's package.

Profiles are files that come with the program or with the deployment: read once, when first
asked for. A profile that is not there ends the process, for nobody is judged by a guess.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources.abc import Traversable
from typing import TypeAlias

from rules.limits import ProfileTable, tabulate
from rules.profile import Profile
from rules.profiles import load_versions

Choices: TypeAlias = dict[str, int]
"""Id of a profile to its choice of a ``ProfileTable``; the deployment's is 0."""


class Profiles:
    """The profiles of one deployment. Raises ``ProfileError`` for one that cannot be used."""

    def __init__(self, deployment: str, directory: Traversable | None = None) -> None:
        self._directory = directory
        self._of = cache(self._load)
        self._table = cache(self._tabulate)
        self.id = deployment
        self.limits, _ = self.choose(())

    def choose(self, others: Iterable[str]) -> tuple[ProfileTable, Choices]:
        """Limits of the deployment's profile and these, and how they are numbered."""
        return self._table(tuple(sorted({*others} - {self.id})))

    def _tabulate(self, others: tuple[str, ...]) -> tuple[ProfileTable, Choices]:
        ids = (self.id, *others)
        return tabulate([self._of(id_) for id_ in ids]), {id_: n for n, id_ in enumerate(ids)}

    def _load(self, id_: str) -> tuple[Profile, ...]:
        return load_versions(id_, self._directory)
