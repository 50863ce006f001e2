"""What can go wrong in the simulators.

SimulatorError (Exception)
  RecordingError          a CSV file is no recording, or a line of it cannot be planned
  LedgerError             the ledger cannot be written, or is not one
  TerminalError           a gateway stays unreachable, or answers outside the protocol
  RadioError              the room of virtual Bluetooth devices cannot be joined or opened
  LoadError               the broker refuses a light fleet, or has no room for it, or goes away
  ReportError             the report's folder cannot be written
  ReconcileError          a spool or the database cannot be read
"""


class SimulatorError(Exception):
    """A simulation cannot go on. The message says what to do next."""


class RecordingError(SimulatorError):
    """A file is no recording of readings."""


class LedgerError(SimulatorError):
    """The ledger cannot be written or read."""


class TerminalError(SimulatorError):
    """A virtual terminal cannot reach its gateway, or does not understand it."""


class ReconcileError(SimulatorError):
    """One of the things to compare cannot be read."""


class RadioError(SimulatorError):
    """The room of virtual Bluetooth devices cannot be joined or opened."""


class LoadError(SimulatorError):
    """A light fleet cannot connect, or its broker is gone."""


class ReportError(SimulatorError):
    """The report's folder cannot be written."""
