"""Promise: roles add up to no more than they say, and who may see whom follows from them alone."""

import pytest

from api.auth.permissions import CARE, PERMISSIONS, Permission, Role
from api.auth.principal import LOCAL, Principal, Reach


def a_principal(*roles: Role, **more: object) -> Principal:
    plain: dict[str, object] = {
        "subject": "someone",
        "kind": "person",
        "roles": frozenset(roles),
        "team_ids": frozenset({"n1"}),
        "centre_ids": frozenset({"north"}),
    }
    return Principal(**{**plain, **more})  # type: ignore[arg-type]  # names are the test's


@pytest.mark.parametrize(
    ("role", "reach", "teams", "centres"),
    [
        (Role.DOCTOR, Reach.OWN, {"n1"}, set()),
        (Role.TEAM_LEADER, Reach.OWN, {"n1"}, set()),
        (Role.CENTRE_ADMIN, Reach.OWN, set(), {"north"}),
        (Role.CONTRACT_SYSTEM, Reach.OWN, set(), {"north"}),
        (Role.SUPERVISOR, Reach.OWN, set(), {"north"}),
        (Role.OPS, Reach.NONE, set(), set()),
        (Role.AUDITOR, Reach.NONE, set(), set()),
    ],
)
def test_a_role_sees_those_of_its_team_or_centre_or_nobody(
    role: Role, reach: Reach, teams: set[str], centres: set[str]
) -> None:
    principal = a_principal(role)

    assert principal.reach is reach
    assert principal.seen_team_ids == teams
    assert principal.seen_centre_ids == centres


@pytest.mark.parametrize("role", list(Role))
def test_only_systems_and_supervisors_without_a_centre_see_everybody(role: Role) -> None:
    principal = a_principal(role, team_ids=frozenset(), centre_ids=frozenset())

    sees_all = principal.reach is Reach.ALL
    assert sees_all == (role in {Role.CONTRACT_SYSTEM, Role.SUPERVISOR})
    assert not principal.seen_team_ids
    assert not principal.seen_centre_ids


def test_no_role_at_all_may_nothing_and_sees_nobody() -> None:
    principal = a_principal()

    assert not principal.permissions
    assert principal.reach is Reach.NONE
    assert not principal.sees_measured


def test_a_scope_takes_away_and_never_adds() -> None:
    scopes = frozenset({Permission.CASES_READ, Permission.AUDIT_READ})
    key = a_principal(Role.CONTRACT_SYSTEM, scopes=scopes)

    assert key.permissions == {Permission.CASES_READ}
    assert not a_principal(Role.CONTRACT_SYSTEM, scopes=frozenset()).permissions


def test_every_role_has_its_permissions_and_every_permission_a_role() -> None:
    assert set(PERMISSIONS) == set(Role)
    assert frozenset[Permission]().union(*PERMISSIONS.values()) == set(Permission)


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.OPS, Role.AUDITOR])
def test_who_treats_nobody_writes_nothing_and_sees_no_name_and_no_value(role: Role) -> None:
    written = {name for name in PERMISSIONS[role] if name.endswith(":write")}
    assert written <= {Permission.OPERATIONS_WRITE}
    assert not PERMISSIONS[role] & {Permission.RESIDENTS_READ, Permission.READINGS_READ}
    assert not a_principal(role).sees_measured
    assert role not in CARE


def test_whoever_is_at_this_machine_may_everything() -> None:
    assert LOCAL.permissions == set(Permission)
    assert LOCAL.reach is Reach.ALL
    assert LOCAL.sees_measured
