"""From what devices reported to what rules judge, in the order of the clinical decision table.

    duplicates ─▶ amendments (late context, corrections, retractions) ─▶ quality ─▶ clocks

Source: clinical decision table 2.2, steps 1 to 6.
"""

from dataclasses import dataclass

import numpy as np

from rules.columns import BoolArray, InstantArray, Readings
from rules.duplicates import find_duplicates
from rules.effective_time import correct_times
from rules.quality import Assayed, Disposition, assay
from rules.reported import STATUS_TIME_FAULT, Amendments, Reported, amend
from rules.runs import RowArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalised:
    """Every reading's disposition, shape (n,), and the accepted ones as the engine takes them."""

    readings: Readings  # Shape (k,).
    rows: RowArray  # Row of ``Reported`` of each of them, shape (k,).
    assayed: Assayed  # Its ``disposition`` is the final one.
    effective_at: InstantArray
    time_suspect: BoolArray


def normalise(
    reported: Reported, amendments: Amendments, *, deduplicate: bool = True
) -> Normalised:
    """Settle every reading and turn the accepted ones into columns of the rules.

    Args:
        reported: Readings as they came, in any order.
        amendments: What was said of them, in any order.
        deduplicate: False where the store has done it (``ingest.db.readings``).

    Raises:
        RulesError: Columns that do not fit together; never for a bad value.
    """
    as_sent = reported
    reported, retracted = amend(reported, amendments)
    assayed = assay(reported)
    disposition = assayed.disposition
    disposition[retracted] = Disposition.RETRACTED
    if deduplicate:  # Of what is told for the second time nothing can be said.
        duplicate, conflict = find_duplicates(as_sent)
        disposition[conflict] = Disposition.CONFLICT
        disposition[duplicate] = Disposition.DUPLICATE
    effective_at, suspect = correct_times(
        measured_at=reported.measured_at,
        device_now=reported.device_now,
        captured_at=reported.captured_at,
        arrived_at=reported.arrived_at,
        time_fault=(reported.status & STATUS_TIME_FAULT) != 0,
    )
    rows = np.flatnonzero(disposition == Disposition.ACCEPTED)
    readings = _accepted(reported, assayed, (effective_at, suspect), rows)
    return Normalised(
        readings=readings,
        rows=rows,
        assayed=assayed,
        effective_at=effective_at,
        time_suspect=suspect,
    )


def _accepted(
    reported: Reported, assayed: Assayed, clock: tuple[InstantArray, BoolArray], rows: RowArray
) -> Readings:
    """Stored records with a faulty clock are shown, and count for nothing."""
    effective_at, suspect = clock
    countable: BoolArray = ~(reported.stored_record & suspect)
    return Readings(
        resident=reported.resident[rows],
        ids=reported.ids[rows],
        kind=reported.kind[rows],
        systolic_mmhg_e13=assayed.systolic_mmhg_e13[rows],
        diastolic_mmhg_e13=assayed.diastolic_mmhg_e13[rows],
        glucose_mmol_l_e4=assayed.glucose_mmol_l_e4[rows],
        range_status=assayed.range_status[rows],
        setting=reported.setting[rows],
        arm=reported.arm[rows],
        meal_context=reported.meal_context[rows],
        countable=countable[rows],
        effective_at=effective_at[rows],
        captured_at=reported.captured_at[rows],
        arrived_at=reported.arrived_at[rows],
        received_at=reported.received_at[rows],
    )
