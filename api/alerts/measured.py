"""What an alert tells of what was measured: not for who sees no measured values.

A supervisor sees that there is an alert, its limit and its severity, under a pseudonym. What was
observed, and the sentence that explains it, stand in the alert itself, where no policy on readings
reaches: every statement that shows them asks ``sees_measured()`` of the session, and an event on
its way to a listener is rewritten.
"""

import json

from api.auth.principal import Principal
from api.remedies import NOT_SHOWN


def observed(alert: str) -> str:
    """SQL: what an alert observed, for who sees it."""
    return f"CASE WHEN (SELECT sees_measured()) THEN {alert}.observed ELSE '{NOT_SHOWN}' END"


def explanation(alert: str) -> str:
    """SQL: why it was raised, for who sees it; else null."""
    return f"CASE WHEN (SELECT sees_measured()) THEN {alert}.explanation END"


def shown_event(data: str, principal: Principal) -> str:
    """An event's JSON as one may read it."""
    if principal.sees_measured:
        return data
    told = json.loads(data)
    if "observed" not in told:
        return data
    return json.dumps({**told, "observed": NOT_SHOWN}, ensure_ascii=False)
