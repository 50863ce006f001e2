"""What can be wrong with a file of worked cases.

RulesError
└── CaseFileError   a case, event or field that cannot be read; names all three and the remedy
"""

from rules.errors import RulesError


class CaseFileError(RulesError):
    """A file of worked cases cannot be read.

    Attributes:
        case: Its ``id``, or its place in the file.
        where: Event and field, such as ``e3.sbp``.
    """

    def __init__(self, case: str, where: str, problem: str) -> None:
        self.case = case
        self.where = where
        super().__init__(f"case {case}: {where}: {problem}")
