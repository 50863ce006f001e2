"""What can be wrong with a scenario's file.

SimulatorError
  ScenarioError     one line: file, line, field, value, remedy; the command line's exit 2
"""

from simulators.errors import SimulatorError


class ScenarioError(SimulatorError):
    """A scenario cannot be read or cannot be played."""
