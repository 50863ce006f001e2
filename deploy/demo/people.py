"""Whom one can be in the demo's console: a doctor, the leader of a centre's teams, an operator.

Invented roles, no invented persons: a subject says what somebody is.
"""

from typing import Final

from api.auth.permissions import Role
from api.auth.signing import Bearer
from simulators.residents import TEAMS_PER_CENTRE, team_id

_CENTRE: Final = "centre-1"

PEOPLE: Final = (
    Bearer(subject="demo-doctor", roles=[Role.DOCTOR], teams=[team_id(_CENTRE, 0)]),
    Bearer(
        subject="demo-leader",
        roles=[Role.TEAM_LEADER],
        teams=[team_id(_CENTRE, index) for index in range(TEAMS_PER_CENTRE)],
    ),
    Bearer(subject="demo-operator", roles=[Role.OPS]),
)
