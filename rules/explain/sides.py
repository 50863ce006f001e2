"""Each quantity beside its limit, one after the other: which crossed, and by how much.

The engine asks whether *any* side crossed (``comparison``); people want to know which. The same
exact integers and comparators; that both agree is a property test.
"""

from rules.columns import ARM_LEFT, ARM_RIGHT, MISSING, Readings
from rules.explain.explanation import Side
from rules.explain.figures import mmhg_text, mmol_l_text
from rules.explain.judged import Evidence
from rules.explain.thresholds import LimitText, Quantity
from rules.profile import Comparator


def difference_of_arms(evidence: Evidence) -> int:
    """|left - right| of mean systolic in 1e-13 mmHg, cut; both arms were measured."""
    left, right = evidence.arms[ARM_LEFT], evidence.arms[ARM_RIGHT]
    apart = abs(left.systolic * right.count - right.systolic * left.count)
    return apart // (left.count * right.count)


def compare_sides(evidence: Evidence, readings: Readings, limit: LimitText) -> tuple[Side, ...]:
    """Every side of a limit beside what was measured; none where there is no number (HI, LO)."""
    if limit.comparator is None:
        return ()
    sides = []
    for quantity, bound in limit.sides:
        total, count = _amount(evidence, readings, quantity)
        if total == MISSING:
            continue
        beyond = _beyond(total, count, bound, limit.comparator)
        text = mmol_l_text if quantity is Quantity.GLUCOSE else mmhg_text
        sides.append(
            Side(
                quantity=quantity,
                value=text(total // count),
                limit=text(bound),
                crossed=beyond is not None,
                beyond=None if beyond is None else text(beyond),
            )
        )
    return tuple(sides)


def _amount(evidence: Evidence, readings: Readings, quantity: Quantity) -> tuple[int, int]:
    """Sum and count of one quantity."""
    if quantity is Quantity.GLUCOSE:
        return int(readings.glucose_mmol_l_e4[evidence.rows[0]]), 1
    if quantity is Quantity.ARMS:
        return difference_of_arms(evidence), 1
    if evidence.mean is None:
        return MISSING, 1
    mean = evidence.mean
    return (mean.systolic if quantity is Quantity.SYSTOLIC else mean.diastolic), mean.count


def _beyond(total: int, count: int, bound: int, comparator: Comparator) -> int | None:
    """How far a mean lies beyond its limit, cut; None where it did not cross."""
    apart = total - bound * count
    if comparator is Comparator.AT_OR_BELOW:
        apart = -apart
    if apart < 0 or (apart == 0 and comparator is Comparator.ABOVE):
        return None
    return apart // count
