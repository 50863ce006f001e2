"""The words of the rules as small numbers, so that they fit in columns.

Numbers are stable: they may be stored. ``AlertCode.X.name`` and ``CaseState.X.name.lower()``
are the texts of the database, the API and the worked cases.
"""

from enum import IntEnum
from typing import Final


class Condition(IntEnum):
    """What a case is about; one case per resident and condition."""

    HYPERTENSION = 1
    DIABETES = 2


class Severity(IntEnum):
    """How loud an alert is: high and critical page, the others go to the feed."""

    INFO = 1
    WARN = 2
    HIGH = 3
    CRITICAL = 4


class AlertStatus(IntEnum):
    """``CANCELLED`` (lost its ground) is found by comparing judgements, never by one."""

    ACTIVE = 1
    RESOLVED = 2
    CANCELLED = 3


class CaseState(IntEnum):
    """Where a case stands. Source: clinical decision table 2.4."""

    NONE = 0
    CONTROLLED = 1
    SECOND_FOLLOWUP_OPEN = 2
    SECOND_FOLLOWUP_OVERDUE = 3
    REFERRAL_RECOMMENDED = 4
    EMERGENCY_REFERRAL = 5
    REFERRAL_FOLLOWUP_OVERDUE = 6
    REFERRAL_CLOSED = 7
    SCREENING = 8
    SCREENING_REFERRAL = 9
    CLOSED = 10


class RecordKind(IntEnum):
    """What people record about a resident."""

    VISIT = 1
    REFERRAL_FOLLOWUP = 2
    OVERRIDE = 3
    CLOSURE = 4
    RETURN = 5
    RESCHEDULE = 6


class ClosureReason(IntEnum):
    """Why nobody follows a resident up any more."""

    DEATH = 1
    MOVED = 2
    CONTRACT_ENDED = 3


class AlertCode(IntEnum):
    """What an alert says. 0 in a column means no alert."""

    BP_EMERGENCY = 1
    BP_PREG_HIGH = 2
    GLU_EMERGENCY_HIGH = 3
    GLU_EMERGENCY_LOW = 4
    BP_UNSATISFIED_1 = 5
    BP_UNSATISFIED_2 = 6
    GLU_UNSATISFIED_1 = 7
    GLU_UNSATISFIED_2 = 8
    FOLLOWUP_OVERDUE = 9
    REFERRAL_FOLLOWUP_OVERDUE = 10
    SCREEN_BP_HIGH = 11
    SCREEN_HTN_SUSPECTED = 12
    SCREEN_GLU_HIGH = 13
    BP_HOME_HIGH = 14
    GLU_POSTPRANDIAL_HIGH = 15
    BP_INTERARM_DIFF = 16
    ADR_1 = 17
    ADR_2 = 18
    COMPLICATION = 19
    ROUTINE_OVERDUE = 20


NO_ALERT: Final = 0

# Source: clinical decision table 2.3. The two SCREEN codes of a profile override theirs.
SEVERITY_OF: Final[dict[AlertCode, Severity]] = {
    AlertCode.BP_EMERGENCY: Severity.CRITICAL,
    AlertCode.BP_PREG_HIGH: Severity.CRITICAL,
    AlertCode.GLU_EMERGENCY_HIGH: Severity.CRITICAL,
    AlertCode.GLU_EMERGENCY_LOW: Severity.CRITICAL,
    AlertCode.BP_UNSATISFIED_1: Severity.WARN,
    AlertCode.BP_UNSATISFIED_2: Severity.HIGH,
    AlertCode.GLU_UNSATISFIED_1: Severity.WARN,
    AlertCode.GLU_UNSATISFIED_2: Severity.HIGH,
    AlertCode.FOLLOWUP_OVERDUE: Severity.HIGH,
    AlertCode.REFERRAL_FOLLOWUP_OVERDUE: Severity.HIGH,
    AlertCode.SCREEN_BP_HIGH: Severity.INFO,
    AlertCode.SCREEN_HTN_SUSPECTED: Severity.WARN,
    AlertCode.SCREEN_GLU_HIGH: Severity.INFO,
    AlertCode.BP_HOME_HIGH: Severity.INFO,
    AlertCode.GLU_POSTPRANDIAL_HIGH: Severity.INFO,
    AlertCode.BP_INTERARM_DIFF: Severity.INFO,
    AlertCode.ADR_1: Severity.WARN,
    AlertCode.ADR_2: Severity.HIGH,
    AlertCode.COMPLICATION: Severity.HIGH,
    AlertCode.ROUTINE_OVERDUE: Severity.INFO,
}
