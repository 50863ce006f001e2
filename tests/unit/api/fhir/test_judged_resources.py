"""Promise: what was judged, and where it comes from, is valid FHIR R4 and says whose word it is."""

from datetime import UTC, date, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from api.fhir import examples, ids
from api.fhir.resources import detected_issue, flag, provenance, service_request, task
from rules.codes import CaseState
from tests.fhir_world import Json, check

# Of the white space FHIR's own pattern takes some that the checker's does not.
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Z"]), min_size=1, max_size=40)
TIMES = st.datetimes(
    min_value=datetime(2015, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2099, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
JUDGED = st.fixed_dictionaries(
    {
        "resident_id": NAMES,
        "condition": st.sampled_from(["hypertension", "diabetes"]),
        "profile": NAMES,
        "profile_version": NAMES,
        "updated_at": TIMES,
        "number": st.integers(1, 2**40),
    }
)


@settings(deadline=None)
@given(
    judged=JUDGED,
    severity=st.sampled_from(["info", "warn", "high", "critical"]),
    status=st.sampled_from(["active", "resolved", "cancelled"]),
    anchor_kind=st.sampled_from(["reading", "record", "resident"]),
    explanation=st.none()
    | st.fixed_dictionaries({"en": NAMES, "zh": NAMES, "record": st.just({})}),
    claimed=st.booleans(),
)
def test_every_alert_is_a_valid_issue_with_its_limit_and_its_source(
    judged: Json,
    *,
    claimed: bool,
    **more: Any,  # noqa: ANN401 - columns are of any type
) -> None:
    row = {**examples.ALERT_ROW, **judged, **more}
    row["resident_id"] = row["resident_id"] if claimed else None

    built = detected_issue.build(row)

    check(built)
    for said in ("observed", "threshold", "source"):
        assert row[said] in built["detail"]
    assert ("detail" in built["evidence"][0]) == (row["anchor_kind"] == "reading")
    assert (built["status"] == "cancelled") == (row["status"] == "cancelled")
    order = ["low", "moderate", "high"]
    assert order.index(built["severity"]) == min(
        2, ["info", "warn", "high", "critical"].index(row["severity"])
    )


@settings(deadline=None)
@given(
    judged=JUDGED,
    state=st.sampled_from([state.name.lower() for state in CaseState]),
    team_id=st.none() | NAMES,
    due=st.dates(date(2015, 1, 1)),
    kind=st.sampled_from([*task.KINDS]),
)
def test_every_case_is_a_valid_flag_and_what_it_asks_for_a_valid_task(
    judged: Json, state: str, team_id: str | None, due: date, kind: str
) -> None:
    row = {**judged, "state": state, "team_id": team_id, "due": due, "kind": kind}

    check(flag.build(row))
    built = task.build(row)
    check(built)
    assert built["restriction"]["period"]["end"] == due.isoformat()
    assert ids.from_fhir(built["id"]) == built["id"]
    assert (flag.build(row)["status"] == "inactive") == (state in ("none", "closed"))


@settings(deadline=None)
@given(
    judged=JUDGED,
    to_state=st.sampled_from(service_request.REFERRALS),
    status=st.sampled_from(["active", "revoked", "completed", "unknown"]),
    author=st.just("judge") | NAMES,
    at=TIMES,
    threshold=st.none() | NAMES,
    input_ids=st.lists(st.uuids(), max_size=3),
)
def test_every_referral_is_a_valid_request_and_says_whose_word_it_is(
    judged: Json,
    **more: Any,  # noqa: ANN401 - columns are of any type
) -> None:
    built = service_request.build({**judged, **more})

    check(built)
    assert (built["intent"] == "proposal") == (more["author"] == "judge")


@settings(deadline=None)
@given(
    kind=st.sampled_from(["reading", "correction", "retraction", "undo", "context"]),
    author=NAMES | NAMES.map("client:{}".format),
    reason=st.none() | NAMES,
    device_id=NAMES,
    device_known=st.booleans(),
)
def test_every_provenance_is_valid_and_names_who_changed_it(
    kind: str,
    author: str,
    **more: Any,  # noqa: ANN401 - columns are of any type
) -> None:
    built = provenance.build({**examples.PROVENANCE_ROW, **more, "kind": kind, "author": author})

    check(built)
    named = [agent["who"]["identifier"]["value"] for agent in built["agent"]]
    gateway = examples.PROVENANCE_ROW["gateway_id"]
    expected = {"reading": [more["device_id"], gateway], "context": [gateway]}
    assert named == expected.get(kind, [author])
