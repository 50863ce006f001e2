"""States of cases as the database spells them, in the groups that pages speak of.

``rules.codes`` has the same names as numbers; it is not loaded here, numpy would come along. A test
compares both. Source: clinical decision table 2.4.
"""

from typing import Final

STATES: Final = [
    "emergency_referral",
    "referral_followup_overdue",
    "referral_recommended",
    "second_followup_overdue",
    "second_followup_open",
    "screening_referral",
    "screening",
    "referral_closed",
    "controlled",
    "none",
    "closed",
]
"""All of them, those that ask for most first."""
