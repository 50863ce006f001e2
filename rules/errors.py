"""What can go wrong in the rules.

    RulesError (ValueError)
    ├── ProfileError     a profile file is missing, incomplete or contradictory
    ├── ShapeError       columns that should be row-aligned are not, or have another type
    ├── UnknownCodeError a number that is no code of ours (kind, setting, unit, row of resident)
    └── PrecisionError   a value has more digits than its unit is exact for

All four mean a wrong program or a wrong deployment, never a bad reading: bad readings are
quarantined before they get here.
"""


class RulesError(ValueError):
    """Base of everything ``rules`` raises on purpose."""


class ProfileError(RulesError):
    """A profile cannot be used. Names the file, the line and the key.

    Attributes:
        file: File name of the profile, such as ``wuzhou.toml``.
        key: Dotted key, or empty for the whole file.
        line: From 1, or None where no line is to blame.
    """

    def __init__(self, file: str, key: str, problem: str, *, line: int | None = None) -> None:
        self.file = file
        self.key = key
        self.line = line
        place = file if line is None else f"{file}:{line}"
        super().__init__(f"{place}: {key + ': ' if key else ''}{problem}")


class ShapeError(RulesError):
    """Columns differ in length, or a column has the wrong type."""


class UnknownCodeError(RulesError):
    """A column holds a number that stands for nothing."""


class PrecisionError(RulesError):
    """A value cannot be normalised exactly in 64 bits: too many decimals, or absurdly large."""
