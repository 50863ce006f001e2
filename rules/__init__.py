"""The clinical rules: arrays in, arrays out. numpy only; no I/O, no clock, no database.

    Readings, Residents ─▶ emergencies (each reading at once)
                        └▶ sessions ─▶ assessments ─▶ fold (case machine) ─▶ Judgement

Every clinical number lives in ``rules/profiles/*.toml`` with unit, comparator and source.
No value meets a limit as a float: values are scaled integers, a mean is compared as its sum
against count times limit.
"""
