"""Promise: what an API knows of handles is bounded, and never of two times."""

from typing import Any

import msgspec

from api.audit.handles import KnownHandles
from api.audit.queries import Note, write_known
from tests.builders import AT


def a_note(*residents: str) -> Note:
    return Note(AT, "doctor", "read", "list_cases", list(residents), [])


def test_who_is_known_goes_as_a_handle_and_who_is_not_by_place() -> None:
    known = KnownHandles(10)
    known.learn("now", ["anna", "carl"], [12, 3])

    statement, unknown = write_known([a_note("anna", "ben", "carl"), a_note("ben", "dora")], known)
    told: list[dict[str, Any]] = msgspec.json.decode(statement.values["notes"])

    assert unknown == msgspec.json.decode(statement.values["unknown"]) == ["ben", "dora"]
    assert [(note["handles"], note["places"]) for note in told] == [
        ("{3,12}", "{1}"),
        ("{}", "{1,2}"),
    ]


def test_a_page_of_known_residents_asks_for_nobody() -> None:
    known = KnownHandles(10)
    known.learn("now", ["anna"], [12])

    statement, unknown = write_known([a_note("anna")], known)

    assert (statement.values["as_of"], unknown) == ("now", [])
    assert "unknown" not in statement.values


def test_of_another_time_nothing_is_known_any_more() -> None:
    known = KnownHandles(10)
    known.learn("before", ["anna"], [12])
    known.learn("after", ["ben"], [13])

    assert (known.as_of, known.find(["anna", "ben"])) == ("after", ([13], ["anna"]))


def test_those_learned_first_are_forgotten_first() -> None:
    known = KnownHandles(2)
    known.learn("now", ["anna", "ben", "carl"], [1, 2, 3])

    assert known.find(["anna", "ben", "carl"]) == ([2, 3], ["anna"])
