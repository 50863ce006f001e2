"""Why there is an alert, why a case stands where it stands: a record, and a sentence.

``told`` finds the facts, ``sentences`` says them in Chinese or English. Nothing is judged here.
"""

from rules.explain.figures import observed_text
from rules.explain.judged import Judged
from rules.explain.sentences import sentence
from rules.explain.thresholds import LimitText, limit_of
from rules.explain.told import explain_alert, explain_case

__all__ = [
    "Judged",
    "LimitText",
    "explain_alert",
    "explain_case",
    "limit_of",
    "observed_text",
    "sentence",
]
