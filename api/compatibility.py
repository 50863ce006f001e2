"""What a client of an older OpenAPI document would trip over in a newer one. Pure.

A client sends what the old document allows and reads what it promises. So a request may become
wider and an answer narrower, never the other way round: an operation, a parameter or a property
that goes, a field that becomes needed, a value that is taken no more, a type that changes. What is
added is fine, also a new value in an answer's list of words: docs/api.md says that clients must
expect it.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

_METHODS: Final = ("get", "put", "post", "delete", "patch")
_DEPTH_MAX: Final = 12  # Of schemas inside schemas; ours are five deep.
Json = Mapping[str, Any]


def find_breaks(old: Json, new: Json) -> list[str]:
    """One line for each thing that breaks, naming operation and place; empty: compatible."""
    found: list[str] = []
    for path, methods in old["paths"].items():
        for method in _METHODS:
            if method in methods:
                now = new["paths"].get(path, {}).get(method)
                name = f"{method.upper()} {path}"
                if now is None:
                    found.append(f"{name}: is gone")
                else:
                    found += [f"{name}: {each}" for each in _of_one(methods[method], now, old, new)]
    return found


def _of_one(was: Json, now: Json, old: Json, new: Json) -> Iterator[str]:
    yield from _of_parameters(was, now, old, new)
    sent, taken = (_content(each.get("requestBody", {})) for each in (was, now))
    for media, schema in sent.items():
        if media not in taken:
            yield f"takes {media} no more"
        else:
            yield from _Comparison(old, new, asks=True).of(schema, taken[media], "body")
    if not was.get("requestBody") and now.get("requestBody", {}).get("required"):
        yield "needs a body"
    for status, response in was["responses"].items():
        if status not in now["responses"]:
            yield f"answers {status} no more"
            continue
        promised, given = _content(response), _content(now["responses"][status])
        for media, schema in promised.items():
            if media not in given:
                yield f"{status} is {media} no more"
            else:
                compare = _Comparison(old, new, asks=False)
                yield from compare.of(schema, given[media], f"{status}")


def _content(part: Json) -> dict[str, Json]:
    return {media: each.get("schema", {}) for media, each in part.get("content", {}).items()}


def _of_parameters(was: Json, now: Json, old: Json, new: Json) -> Iterator[str]:
    before, after = (
        {(each["in"], each["name"]): each for each in operation.get("parameters", ())}
        for operation in (was, now)
    )
    for key, parameter in before.items():
        where = f"{key[0]} {key[1]}"
        if key not in after:
            yield f"{where}: is gone"
            continue
        if after[key].get("required") and not parameter.get("required"):
            yield f"{where}: is needed now"
        compare = _Comparison(old, new, asks=True)
        yield from compare.of(parameter["schema"], after[key]["schema"], where)
    for key in after.keys() - before.keys():
        if after[key].get("required"):
            yield f"{key[0]} {key[1]}: is new and needed"


class _Comparison:
    """Two schemas, of what a client sends (``asks``) or of what it gets."""

    def __init__(self, old: Json, new: Json, *, asks: bool) -> None:
        self._old, self._new, self._asks = old, new, asks

    def of(self, was: Json, now: Json, where: str, depth: int = 0) -> Iterator[str]:
        """What breaks between two schemas at one place."""
        was, now = _resolved(was, self._old), _resolved(now, self._new)
        if depth > _DEPTH_MAX or was == now or not was:
            return
        kinds, kinds_now = _kinds(was), _kinds(now)
        lost = kinds - kinds_now if self._asks else kinds_now - kinds
        if lost and kinds and kinds_now:
            yield f"{where}: {'takes' if self._asks else 'may be'} {', '.join(sorted(lost))}" + (
                " no more" if self._asks else " now"
            )
        words, words_now = _words(was), _words(now)
        if self._asks and words_now and (not words or words - words_now):
            gone = ", ".join(sorted(map(str, words - words_now))) or "anything else"
            yield f"{where}: takes {gone} no more"
        yield from self._of_properties(was, now, where, depth)
        if was.get("items") and now.get("items"):
            yield from self.of(was["items"], now["items"], f"{where}[]", depth + 1)
        choices, choices_now = _choices(was), _choices(now)
        if self._asks and 0 < len(choices_now) < len(choices):
            yield f"{where}: takes fewer kinds than before"
        for one, other in zip(choices, choices_now, strict=False):
            yield from self.of(one, other, where, depth + 1)

    def _of_properties(self, was: Json, now: Json, where: str, depth: int) -> Iterator[str]:
        before, after = was.get("properties", {}), now.get("properties", {})
        for name, schema in before.items():
            place = f"{where}.{name}"
            if name not in after:
                if not self._asks or now.get("additionalProperties") is False:
                    yield f"{place}: is gone"
                continue
            yield from self.of(schema, after[name], place, depth + 1)
        needed, needed_now = set(was.get("required", ())), set(now.get("required", ()))
        changed = needed_now - needed if self._asks else (needed - needed_now) & after.keys()
        for name in sorted(changed):
            yield f"{where}.{name}: is {'needed' if self._asks else 'not always there'} now"


def _resolved(schema: Json, document: Json) -> Json:
    """The schema that a reference names."""
    while "$ref" in schema:
        found: Any = document
        for part in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found[part]
        schema = found
    return schema


def _choices(schema: Json) -> list[Json]:
    return [each for each in schema.get("anyOf", schema.get("oneOf", ())) if each]


def _kinds(schema: Json) -> set[str]:
    """The JSON types that it allows; empty: it does not say."""
    if "type" in schema:
        named = schema["type"]
        return {named} if isinstance(named, str) else set(named)
    kinds = [_kinds(each) for each in _choices(schema)]
    return set().union(*kinds) if all(kinds) else set()


def _words(schema: Json) -> set[Any]:
    """The words that it allows; empty: any."""
    if "const" in schema:
        return {schema["const"]}
    if "enum" in schema:
        return set(schema["enum"])
    words = [_words(each) for each in _choices(schema) if each.get("type") != "null"]
    return set().union(*words) if words and all(words) else set()
