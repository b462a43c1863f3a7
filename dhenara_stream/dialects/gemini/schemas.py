"""JSON schemas as the Gemini API takes them; what it does not take is told to the model in words.

The rules of the API beside ``schema.GEMINI``: definitions stand in ``$defs``; a list of values
holds texts and numbers only; a reference that leads back to where it stands is taken only within
a property that need not be there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dhenara_stream.dialects.schema import GEMINI, objects, references, strict_schema
from dhenara_stream.dialects.values import Dict, as_dict, as_list, as_text

__all__ = ["gemini_schema", "names_nothing"]

_NAMED = ("properties", "$defs")
_LISTED = ("anyOf", "allOf", "oneOf", "prefixItems")
_SINGLE = ("items", "additionalProperties")
_OLD, _NEW = "#/definitions/", "#/$defs/"


def gemini_schema(schema: Dict, lost: set[str]) -> Dict:
    """A copy of the schema of an object, as the API takes it.

    ``lost`` takes the names of the keywords that now stand in a description only, if anywhere.
    """
    made: Dict = strict_schema({"type": "object", **_rooted(_respelled(schema))}, lost, GEMINI)
    _loosen(made, lost)
    return made


def names_nothing(schema: Dict) -> bool:
    """Whether it is the schema of an object that has no properties."""
    others = schema.keys() - {"type", "title", "description", "properties", "$defs"}
    return not schema.get("properties") and others <= {"additionalProperties", "required"}


def _rooted(schema: Dict) -> Dict:
    """The schema itself, where there is but a reference to it."""
    name = as_text(schema.get("$ref")).removeprefix(_NEW)
    found = as_dict(as_dict(schema.get("$defs")).get(name))
    return {**found, **{key: schema[key] for key in schema if key != "$ref"}} if found else schema


def _respelled(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    given: Dict = dict(schema)  # pyright: ignore[reportUnknownArgumentType]
    if "definitions" in given:
        given["$defs"] = {**as_dict(given.pop("definitions")), **as_dict(given.get("$defs"))}
    for name in _NAMED:
        if name in given:
            given[name] = {key: _respelled(part) for key, part in as_dict(given[name]).items()}
    for name in _LISTED:
        if name in given:
            given[name] = [_respelled(part) for part in as_list(given[name])]
    for name in _SINGLE:
        if name in given:
            given[name] = _respelled(given[name])
    reference = as_text(given.get("$ref"))
    if reference.startswith(_OLD):
        given["$ref"] = _NEW + reference.removeprefix(_OLD)
    return _without_null(given)


def _without_null(given: Dict) -> Dict:
    """The schema with null as a type of its own, where it is one of the values."""
    values = as_list(given.get("enum"))
    if None not in values:
        return given
    rest = [value for value in values if value is not None]
    if not rest:
        return {"type": "null"}
    types = given.pop("type", [])
    named = [name for name in as_list(types) or [types] if name not in ("null", [])]
    kind = {"type": named[0] if len(named) == 1 else named} if named else {}
    return {"anyOf": [{**given, **kind, "enum": rest}, {"type": "null"}]}


# --- references that lead back


def _loosen(root: Dict, lost: set[str]) -> None:
    """Let properties be missing that lead back to where they stand, in place."""
    places = {_NEW + name: part for name, part in as_dict(root.get("$defs")).items()}
    places["#"] = {name: part for name, part in root.items() if name != "$defs"}
    leads_to = {place: references(part) for place, part in places.items()}
    for place, part in places.items():
        for found in objects(part):
            back = [
                name
                for name in as_list(found.get("required"))
                if place in _reached(as_dict(found.get("properties")).get(name), leads_to)
            ]
            if back:
                found["required"] = [name for name in found["required"] if name not in back]
                lost.add("required")
    if "required" in places["#"]:
        root["required"] = places["#"]["required"]


def _reached(part: Any, leads_to: Mapping[str, set[str]]) -> set[str]:
    reached: set[str] = set()
    waiting = list(references(part))
    while waiting:
        place = waiting.pop()
        if place not in reached:
            reached.add(place)
            waiting += leads_to.get(place, ())
    return reached
