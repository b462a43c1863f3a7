"""JSON schemas as structured outputs and strict tools take them.

The API compiles such a schema, and refuses what it cannot compile: an object that is not closed,
limits on numbers, lengths and lists, references that lead back to themselves
(https://platform.claude.com/docs/en/build-with-claude/structured-outputs). What it refuses is
told to the model in the description instead, as Anthropic's own SDK does; whether the answer
keeps to it is seen when the answer is validated.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec

__all__ = ["compiles", "strict_schema"]

Dict = dict[str, Any]

_NAMED = ("properties", "$defs", "definitions")  # schemas by name
_LISTED = ("anyOf", "allOf")  # schemas in a list
_PLAIN = ("type", "title", "description", "required", "const", "default")
_FORMATS = (
    *("date-time", "time", "date", "duration", "email"),
    *("hostname", "uri", "ipv4", "ipv6", "uuid"),
)


def strict_schema(schema: Any, lost: set[str]) -> Any:
    """A copy of ``schema`` that can be compiled.

    ``lost`` takes the names of the keywords that now stand in a description only.
    """
    if not isinstance(schema, dict):
        return schema
    given = _respelled(schema)  # pyright: ignore[reportUnknownArgumentType]
    kept: Dict = {name: given.pop(name) for name in _PLAIN if name in given}
    for name in _NAMED:
        if name in given:
            parts: Dict = given.pop(name)
            kept[name] = {key: strict_schema(part, lost) for key, part in parts.items()}
    if "$ref" in given:  # nothing else may stand beside it
        return {"$ref": given["$ref"]} | {name: kept[name] for name in _NAMED if name in kept}
    for name in _LISTED:
        if name in given:
            kept[name] = [strict_schema(part, lost) for part in given.pop(name)]
    if "items" in given:
        kept["items"] = strict_schema(given.pop("items"), lost)
    _close(kept, given)
    _keep_what_compiles(kept, given)
    lost.update(given)
    return _with_words(kept, given)


def _respelled(schema: Dict) -> Dict:
    given = dict(schema)
    if len(given.get("allOf", ())) == 1:  # how some libraries put a description beside a $ref
        given = {**given.pop("allOf")[0], **given}
    if "oneOf" in given:
        given.setdefault("anyOf", given.pop("oneOf"))
    if "prefixItems" in given:  # a tuple: its kinds of items stay, their places do not
        given["items"] = {"anyOf": given.pop("prefixItems")}
    return given


def _close(kept: Dict, given: Dict) -> None:
    if kept.get("type") == "object" or "properties" in kept:
        kept.setdefault("properties", {})
        kept["additionalProperties"] = False
        if isinstance(given.get("additionalProperties"), bool):
            del given["additionalProperties"]


def _keep_what_compiles(kept: Dict, given: Dict) -> None:
    compiles = {
        "enum": not any(isinstance(value, dict | list) for value in given.get("enum", ())),
        "format": given.get("format") in _FORMATS,
        "minItems": given.get("minItems") in (0, 1),
    }
    for name, accepted in compiles.items():
        if accepted and name in given:
            kept[name] = given.pop(name)


def _with_words(kept: Dict, lost: Dict) -> Dict:
    if lost:
        words = msgspec.json.encode(lost).decode()
        kept["description"] = "\n\n".join(filter(None, [kept.get("description"), words]))
    return kept


def compiles(schema: Dict) -> bool:
    """Whether :func:`strict_schema` leaves the meaning: ``schema`` is finite, and has no dicts.

    An object of any keys would be closed, and have none.
    """
    return not any(map(_is_dict, _objects(schema))) and not _is_recursive(schema)


def _is_dict(part: Dict) -> bool:
    closed = "properties" in part or part.get("additionalProperties") is False
    return part.get("type") == "object" and not closed


def _is_recursive(schema: Dict) -> bool:
    graph: dict[str, set[str]] = {}
    for group in ("$defs", "definitions"):
        parts: Dict = schema.get(group) or {}
        graph |= {f"#/{group}/{name}": _references(part) for name, part in parts.items()}
    # Take away what refers to nothing that is left, until nothing goes any more.
    while leaves := [name for name, to in graph.items() if not to & graph.keys()]:
        for name in leaves:
            del graph[name]
    return bool(graph) or "#" in _references(schema)


def _references(part: Any) -> set[str]:
    found = (value.get("$ref") for value in _objects(part))
    return {reference for reference in found if isinstance(reference, str)}


def _objects(part: Any) -> Iterator[Dict]:
    waiting: list[Any] = [part]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            found = cast("Dict", value)
            waiting += found.values()
            yield found
