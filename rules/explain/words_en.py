"""English. Words only."""

from typing import Final

from rules.codes import AlertCode, CaseState, ClosureReason
from rules.explain.explanation import Answer, ChangeKind, Happening, Needed, Scope
from rules.explain.thresholds import Quantity
from rules.explain.words import Act, Words
from rules.machine import Action
from rules.profile import Comparator

_UNMANAGED: Final = "Act and refer at once; nobody follows this resident now, so no day is set"
_REFER_NOW: Final = Act(by="Refer at once and follow the referral up by {due}", undated=_UNMANAGED)
_REFER: Final = Act(by="Referral is advised; follow it up by {due}")
_SECOND: Final = Act(by="Second follow-up by {due}")
_TELL: Final = Act(by="", undated="Tell the team; no day is set")

WORDS: Final = Words(
    findings={
        AlertCode.BP_EMERGENCY: "blood pressure at the level of an urgent referral",
        AlertCode.BP_PREG_HIGH: (
            "blood pressure in pregnancy or lactation at the level of an urgent referral"
        ),
        AlertCode.GLU_EMERGENCY_HIGH: "high glucose at the level of an urgent referral",
        AlertCode.GLU_EMERGENCY_LOW: "low glucose at the level of urgent action",
        AlertCode.BP_UNSATISFIED_1: "blood pressure not satisfactorily controlled",
        AlertCode.BP_UNSATISFIED_2: (
            "blood pressure not satisfactorily controlled {times} times in a row"
        ),
        AlertCode.GLU_UNSATISFIED_1: "fasting glucose not satisfactorily controlled",
        AlertCode.GLU_UNSATISFIED_2: (
            "fasting glucose not satisfactorily controlled {times} times in a row"
        ),
        AlertCode.FOLLOWUP_OVERDUE: "follow-up overdue",
        AlertCode.REFERRAL_FOLLOWUP_OVERDUE: "referral follow-up overdue",
        AlertCode.SCREEN_BP_HIGH: "high blood pressure found by screening",
        AlertCode.SCREEN_HTN_SUSPECTED: (
            "high blood pressure on {times} days, hypertension suspected"
        ),
        AlertCode.SCREEN_GLU_HIGH: "high glucose found by screening",
        AlertCode.BP_HOME_HIGH: "high blood pressure at home, for information, never counted",
        AlertCode.GLU_POSTPRANDIAL_HIGH: (
            "high glucose 2 hours after a meal, for information, never counted"
        ),
        AlertCode.BP_INTERARM_DIFF: "blood pressures of the arms differ",
        AlertCode.ADR_1: "adverse drug reaction",
        AlertCode.ADR_2: "adverse drug reaction at {times} visits in a row",
        AlertCode.COMPLICATION: "new or worse complication",
        AlertCode.ROUTINE_OVERDUE: "routine visit overdue",
    },
    quiet={
        Action.SCREENING_AGAIN: "high again at the recheck of the screening",
        Action.REACTION_ENDED: "no adverse drug reaction at this visit, second follow-up done",
        Action.REFERRAL_FOLLOWED_UP: "referral followed up and closed",
        Action.OVERRIDDEN_OPEN: "state of the case set by a doctor",
        Action.OVERRIDDEN_QUIET: "state of the case set by a doctor",
        Action.CLOSED: "case closed",
        Action.RESCHEDULED: "another day agreed",
    },
    satisfied={
        "blood_pressure": "blood pressure satisfactorily controlled",
        "glucose": "fasting glucose satisfactorily controlled",
    },
    acts={
        AlertCode.BP_EMERGENCY: _REFER_NOW,
        AlertCode.BP_PREG_HIGH: _REFER_NOW,
        AlertCode.GLU_EMERGENCY_HIGH: _REFER_NOW,
        AlertCode.GLU_EMERGENCY_LOW: Act(
            by="Act, recheck and refer at once; follow the referral up by {due}",
            undated=_UNMANAGED,
        ),
        AlertCode.BP_UNSATISFIED_1: _SECOND,
        AlertCode.BP_UNSATISFIED_2: _REFER,
        AlertCode.GLU_UNSATISFIED_1: _SECOND,
        AlertCode.GLU_UNSATISFIED_2: _REFER,
        AlertCode.SCREEN_BP_HIGH: Act(
            by="Measure again on another day by {due}",
            undated="Measure again on another day; no day is set",
        ),
        AlertCode.SCREEN_HTN_SUSPECTED: Act(
            by="Referral to confirm is advised; follow its result up by {due}"
        ),
        AlertCode.SCREEN_GLU_HIGH: Act(
            by="Confirm by venous plasma glucose on another day by {due}",
            undated="Confirm by venous plasma glucose on another day; no day is set",
        ),
        AlertCode.BP_HOME_HIGH: _TELL,
        AlertCode.GLU_POSTPRANDIAL_HIGH: _TELL,
        AlertCode.BP_INTERARM_DIFF: _TELL,
        AlertCode.ADR_1: _SECOND,
        AlertCode.ADR_2: _REFER,
        AlertCode.COMPLICATION: _REFER,
    },
    states={
        CaseState.NONE: "none",
        CaseState.CONTROLLED: "controlled",
        CaseState.SECOND_FOLLOWUP_OPEN: "second follow-up open",
        CaseState.SECOND_FOLLOWUP_OVERDUE: "follow-up overdue",
        CaseState.REFERRAL_RECOMMENDED: "referral advised",
        CaseState.EMERGENCY_REFERRAL: "urgent referral",
        CaseState.REFERRAL_FOLLOWUP_OVERDUE: "referral follow-up overdue",
        CaseState.REFERRAL_CLOSED: "referral closed",
        CaseState.SCREENING: "screening, to be measured again",
        CaseState.SCREENING_REFERRAL: "hypertension suspected, referral to confirm",
        CaseState.CLOSED: "closed",
    },
    settings={
        "office": "office blood pressure",
        "home": "home blood pressure",
        "ambulatory": "ambulatory blood pressure",
    },
    meals={
        "unknown": "glucose",
        "fasting": "fasting glucose",
        "preprandial": "glucose before a meal",
        "postprandial_2h": "glucose 2 hours after a meal",
        "random": "random glucose",
        "bedtime": "glucose at bedtime",
    },
    arms={None: "", "left": "left arm", "right": "right arm"},
    quantities={
        Quantity.SYSTOLIC: "systolic",
        Quantity.DIASTOLIC: "diastolic",
        Quantity.GLUCOSE: "glucose",
        Quantity.ARMS: "difference",
    },
    happenings={
        Happening.READING: "reading",
        Happening.ASSESSMENT: "assessment",
        Happening.EMERGENCY: "new emergency reading",
        Happening.VISIT: "recorded visit",
        Happening.REFERRAL_FOLLOWUP: "recorded referral follow-up",
        Happening.OVERRIDE: "doctor's decision",
        Happening.CLOSURE: "closure",
        Happening.RETURN: "new contract",
        Happening.RESCHEDULE: "another day agreed",
        Happening.ENROLMENT: "enrolment",
    },
    reasons={
        ClosureReason.DEATH: "death",
        ClosureReason.MOVED: "moved away",
        ClosureReason.CONTRACT_ENDED: "contract ended",
    },
    answers={
        Answer.ASSESSMENT: "an assessment",
        Answer.RECHECK: "a recheck on another day",
        Answer.VISIT: "a visit",
        Answer.REFERRAL_FOLLOWUP: "a referral follow-up",
        Answer.FACE_TO_FACE: "a face-to-face visit",
    },
    escalations=("with the team", "passed to the team leader", "passed to the centre"),
    followups={
        "followup.second_days": "second follow-up",
        "followup.referral_days": "referral follow-up",
        "bp_screening.due_days": "recheck on another day",
        "glucose_screening_fasting.due_days": "recheck on another day",
        "bp_screening.suspected.due_days": "referral follow-up",
    },
    followup="follow-up",
    crossed={
        Comparator.ABOVE: "is above",
        Comparator.AT_OR_ABOVE: "is at or above",
        Comparator.AT_OR_BELOW: "is at or below",
    },
    spared={Comparator.ABOVE: "is not above", Comparator.AT_OR_ABOVE: "is below"},
    needed={
        Needed.NOT_ABOVE: "at or below",
        Needed.BELOW: "below",
        Needed.ABOVE: "above",
        Needed.AT_OR_ABOVE: "at or above",
    },
    tier="{number}, the limit from {age} years",
    within_days=", day {times} within {days}",
    side_spared="{name} did not cross",
    side_equal="{name} at the limit",
    side_above="{name} {beyond} {unit} above",
    side_below="{name} {beyond} {unit} below",
    basis="Profile {profile} version {version}, in force from {since}; source: {source}",
    of_value="{measured} {compared}{sides}: {finding}{earlier}",
    of_arms="{when} {name}, difference of the arms' mean systolic values {observed} "
    "(left {left}, right {right} mmHg)",
    of_routine="No face-to-face visit for more than {days} since the {what} of {since}: {finding}",
    of_overdue="{opener}; {within}",
    of_record="{on} {what}: {finding}{earlier}",
    measured="{when} {name} {observed}{note}",
    mean="{arm} mean of {count} readings",
    one_arm="{arm}",
    left_out="{count} not counted",
    earlier=" (so before: {told})",
    earlier_visit="visit of {on}",
    opener="{told}: {finding}",
    diagnosis="diagnosis",
    due_in_days="{followup} within {days}",
    due_as_set="{followup} by the day that the doctor set",
    due="Due by {due}",
    overdue="It was due by {due} and is {days} overdue{escalation}; complete it now",
    overdue_answered="It was due by {due} and came {days} late{escalation}",
    days=("{count} day", "{count} days"),
    resolved="Resolved on {on} by the {what}",
    state="State of the case: {state}",
    state_overdue="{days} overdue",
    next_routine="next routine visit by {day}",
    otherwise="It would not have come to this {changes}",
    otherwise_satisfied="It would have been unsatisfactory {changes}",
    otherwise_of={
        ChangeKind.ANSWERED: "It would not have been overdue {changes}",
        ChangeKind.NOT_RECORDED: "The case would not have moved {changes}",
        ChangeKind.FINDING: "The second follow-up would not have ended {changes}",
    },
    values={
        Scope.VALUE: "with systolic and diastolic both {needed} {limit}",
        Scope.MEAN: "with the systolic and diastolic mean both {needed} {limit}",
        Scope.EACH_ARM: "with the systolic and diastolic mean of each arm {needed} {limit}",
        Scope.DIFFERENCE: "with the arms' mean systolic difference {needed} {limit}",
    },
    values_to_cross={
        Scope.VALUE: "with systolic or diastolic {needed} {limit}",
        Scope.MEAN: "with the systolic or diastolic mean {needed} {limit}",
    },
    glucose="with glucose {needed} {limit}",
    age_from="under the limit from {age} years ({limit})",
    age_below="under the limit below {age} years ({limit})",
    earlier_otherwise={
        AlertCode.BP_UNSATISFIED_2: "with {days} satisfactory",
        AlertCode.GLU_UNSATISFIED_2: "with {days} satisfactory",
        AlertCode.SCREEN_HTN_SUSPECTED: "with {days} not high",
        AlertCode.ADR_2: "with the visit of {days} without an adverse drug reaction",
    },
    one_of="{days}",
    any_of="any of {days}",
    answered="with {answers} by {by}",
    records={
        ChangeKind.NOT_PREGNANT: "without a pregnancy or lactation on record for that day",
        ChangeKind.FINDING: "with an adverse drug reaction at this visit",
        ChangeKind.NO_FINDING: "with a visit without an adverse drug reaction",
        ChangeKind.NOT_RECORDED: "without this record",
    },
    no_complication="with a visit without a new or worse complication",
    stop=".",
    space=" ",
    comma=", ",
    enumeration=", ",
    conjunction=" and ",
    alternative=", or ",
    brackets=" ({inside})",
)
