"""Which handles residents have in the audit log, as far as this process knows: none is looked up.

The database says as of when (``as_of``), and refuses what rests on another time: a handle may be
gone by then, or another resident's in a copy that was restored. It must never keep what was not
committed. Invariant: what is known has been so ever since ``as_of``.
"""

from collections.abc import Sequence
from itertools import islice


class KnownHandles:
    """At most ``kept_max`` residents, those learned last. Cost: some 200 bytes each."""

    def __init__(self, kept_max: int) -> None:
        self._kept_max = kept_max
        self._known: dict[str, int] = {}
        self.as_of = ""

    def find(self, residents: Sequence[str]) -> tuple[list[int], list[str]]:
        """The handles that are known, in their order, and who has none here."""
        found = [self._known.get(resident) for resident in residents]
        handles = sorted(handle for handle in found if handle is not None)
        if len(handles) == len(found):
            return handles, []
        return handles, [
            who for who, handle in zip(residents, found, strict=True) if handle is None
        ]

    def learn(self, as_of: str, residents: Sequence[str], handles: Sequence[int]) -> None:
        """Take over what was committed; of another time than before, forget everything else."""
        if as_of != self.as_of:
            self._known.clear()
            self.as_of = as_of
        self._known.update(zip(residents, handles, strict=True))
        excess = len(self._known) - self._kept_max
        for resident in list(islice(self._known, max(excess, 0))):
            del self._known[resident]
