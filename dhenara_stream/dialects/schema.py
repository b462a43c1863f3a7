"""JSON schemas as structured outputs and strict tools take them.

An API compiles such a schema, and refuses what it cannot compile: an object that is not closed,
keywords that it does not know
(https://platform.claude.com/docs/en/build-with-claude/structured-outputs,
https://platform.openai.com/docs/guides/structured-outputs,
https://ai.google.dev/gemini-api/docs/structured-output). What it refuses is told to the model
in the description instead, as Anthropic's own SDK does; whether the answer keeps to it is seen
when the answer is validated. Which keywords an API knows is data, in ``SchemaRules``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import msgspec

__all__ = [
    "ANTHROPIC",
    "GEMINI",
    "OPENAI",
    "SchemaRules",
    "compiles",
    "objects",
    "references",
    "strict_schema",
    "with_items",
]

Dict = dict[str, Any]

_NAMED = ("properties", "$defs", "definitions")  # schemas by name
_LISTED = ("anyOf", "allOf", "oneOf", "prefixItems")  # schemas in a list
_SAYS_WHAT = ("type", "$ref", "enum", "const", "anyOf", "oneOf", "allOf", "properties")


class SchemaRules(msgspec.Struct, frozen=True, kw_only=True):
    """What of a schema an API compiles.

    Attributes:
        keywords: Taken as they are.
        listed: Ways to combine schemas.
        formats: Of texts.
        min_items: The values of ``minItems``; any, where it is one of ``keywords``.
        all_required: Whether an object must require all that it names.
        typed: Whether the whole is an object, and each part of it must say what it is.
        recursion: Whether references may lead back to themselves.
        closed: Whether an object must have no keys but those that it names.
        enum_types: The types of an enum's values; any that is no object or list, if empty.
    """

    keywords: tuple[str, ...]
    listed: tuple[str, ...]
    formats: tuple[str, ...]
    min_items: tuple[int, ...] = ()
    all_required: bool = False
    typed: bool = False
    recursion: bool = False
    closed: bool = True
    enum_types: tuple[type, ...] = ()


_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")

ANTHROPIC = SchemaRules(
    keywords=("type", "title", "description", "required", "const", "default"),
    listed=("anyOf", "allOf"),
    formats=(*_FORMATS, "uri"),
    min_items=(0, 1),
)
OPENAI = SchemaRules(
    keywords=(
        *("type", "title", "description", "const", "pattern", "multipleOf", "minItems"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "maxItems"),
    ),
    listed=("anyOf",),
    formats=_FORMATS,
    all_required=True,
    typed=True,
    recursion=True,
)
GEMINI = SchemaRules(
    keywords=(
        *("type", "title", "description", "required", "propertyOrdering"),
        *("minimum", "maximum", "minItems", "maxItems"),
    ),
    listed=("anyOf", "prefixItems"),
    formats=("date-time", "date", "time", "int32", "int64", "float", "double"),
    typed=True,
    recursion=True,
    closed=False,
    enum_types=(str, int, float),
)


def strict_schema(schema: Any, lost: set[str], rules: SchemaRules = ANTHROPIC) -> Any:
    """A copy of ``schema`` that can be compiled.

    ``lost`` takes the names of the keywords that now stand in a description only.
    """
    if not isinstance(schema, dict):
        return schema
    given = _respelled(schema, rules)  # pyright: ignore[reportUnknownArgumentType]
    if rules.typed:
        _say_type(given)
    kept: Dict = {name: given.pop(name) for name in rules.keywords if name in given}
    for name in _NAMED:
        if name in given:
            parts: Dict = given.pop(name)
            kept[name] = {key: strict_schema(part, lost, rules) for key, part in parts.items()}
    if "$ref" in given:  # nothing else may stand beside it
        return {"$ref": given["$ref"]} | {name: kept[name] for name in _NAMED if name in kept}
    for name in rules.listed:
        if name in given:
            kept[name] = [strict_schema(part, lost, rules) for part in given.pop(name)]
    if "items" in given:
        kept["items"] = strict_schema(given.pop("items"), lost, rules)
    _close(kept, given, rules, lost)
    _keep_what_compiles(kept, given, rules)
    lost.update(given)
    return _with_words(kept, given)


def _respelled(schema: Dict, rules: SchemaRules) -> Dict:
    given = dict(schema)
    if len(given.get("allOf", ())) == 1:  # how some libraries put a description beside a $ref
        given = {**given.pop("allOf")[0], **given}
    if "oneOf" in given:
        given.setdefault("anyOf", given.pop("oneOf"))
    if "const" in given and "const" not in rules.keywords:
        given.setdefault("enum", [given.pop("const")])
    if "prefixItems" in given and "prefixItems" not in rules.listed:
        # A tuple: its kinds of items stay, their places do not.
        given["items"] = {"anyOf": given.pop("prefixItems")}
    return given


_TYPES: dict[Any, str] = {
    str: "string",
    bool: "boolean",
    int: "integer",
    float: "number",
    type(None): "null",
}


def _say_type(given: Dict) -> None:
    """Say what a list of values is, and leave out a default that says nothing."""
    values: list[Any] = given.get("enum") or ([given["const"]] if "const" in given else [])
    if values and "type" not in given:
        types = list(dict.fromkeys(_TYPES.get(type(value), "object") for value in values))
        given["type"] = types[0] if len(types) == 1 else types
    if given.get("default", ...) is None:
        del given["default"]


def _close(kept: Dict, given: Dict, rules: SchemaRules, lost: set[str]) -> None:
    if not _is_object(kept):
        return
    if rules.closed:
        kept.setdefault("properties", {})
        kept["additionalProperties"] = False
        if isinstance(given.get("additionalProperties"), bool):
            del given["additionalProperties"]
    elif "additionalProperties" in given:
        kept["additionalProperties"] = strict_schema(given.pop("additionalProperties"), lost, rules)
    if rules.typed:
        kept.setdefault("type", "object")
    if rules.all_required:
        given.pop("required", None)
        kept["required"] = list(kept["properties"])


def _is_object(schema: Dict) -> bool:
    return _has_type(schema, "object") or "properties" in schema


def _has_type(schema: Dict, name: str) -> bool:
    kind = schema.get("type")
    return name in kind if isinstance(kind, list) else kind == name


def _keep_what_compiles(kept: Dict, given: Dict, rules: SchemaRules) -> None:
    compiles = {
        "enum": all(_may_be_listed(value, rules) for value in given.get("enum", ())),
        "format": given.get("format") in rules.formats,
        "minItems": given.get("minItems") in rules.min_items,
    }
    for name, accepted in compiles.items():
        if accepted and name in given:
            kept[name] = given.pop(name)


def _may_be_listed(value: Any, rules: SchemaRules) -> bool:
    if rules.enum_types:
        return type(value) in rules.enum_types
    return not isinstance(value, dict | list)


def _with_words(kept: Dict, lost: Dict) -> Dict:
    if lost:
        words = msgspec.json.encode(lost).decode()
        kept["description"] = "\n\n".join(filter(None, [kept.get("description"), words]))
    return kept


def compiles(schema: Dict, rules: SchemaRules = ANTHROPIC) -> bool:
    """Whether :func:`strict_schema` leaves the meaning: ``schema`` is finite, and has no dicts.

    An object of any keys would be closed, and have none.
    """
    if any(map(_is_dict, objects(schema))):
        return False
    if rules.typed and not (_is_plain_object(schema) and all(map(_is_clear, _parts(schema)))):
        return False
    return rules.recursion or not _is_recursive(schema)


def _is_dict(part: Dict) -> bool:
    closed = "properties" in part or part.get("additionalProperties") is False
    return _has_type(part, "object") and not closed


def _is_plain_object(schema: Dict) -> bool:
    return _has_type(schema, "object") and not schema.keys() & set(_LISTED)


def _is_clear(part: Any) -> bool:
    if not isinstance(part, dict):
        return False
    schema = cast("Dict", part)
    if len(schema.get("allOf", ())) > 1 or not any(name in schema for name in _SAYS_WHAT):
        return False
    return not _has_type(schema, "array") or "items" in schema or "prefixItems" in schema


def with_items(schema: Dict) -> Dict:
    """The schema, in which each list now says what it is a list of; it is changed in place."""
    found = (cast("Dict", part) for part in _parts(schema) if isinstance(part, dict))
    for part in found:
        if _has_type(part, "array"):
            part.setdefault("items", {})
    return schema


def _parts(schema: Any) -> Iterator[Any]:
    """The schema and those in it."""
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        yield part
        if isinstance(part, dict):
            waiting += _parts_of(cast("Dict", part))


def _parts_of(schema: Dict) -> Iterator[Any]:
    for name in _NAMED:
        yield from schema.get(name, {}).values()
    for name in _LISTED:
        yield from schema.get(name, ())
    if "items" in schema and "prefixItems" not in schema:
        yield schema["items"]


def _is_recursive(schema: Dict) -> bool:
    graph: dict[str, set[str]] = {}
    for group in ("$defs", "definitions"):
        parts: Dict = schema.get(group) or {}
        graph |= {f"#/{group}/{name}": references(part) for name, part in parts.items()}
    # Take away what refers to nothing that is left, until nothing goes any more.
    while leaves := [name for name, to in graph.items() if not to & graph.keys()]:
        for name in leaves:
            del graph[name]
    return bool(graph) or "#" in references(schema)


def references(part: Any) -> set[str]:
    """All that is referred to in a part of a schema."""
    found = (value.get("$ref") for value in objects(part))
    return {reference for reference in found if isinstance(reference, str)}


def objects(part: Any) -> Iterator[Dict]:
    """All dicts in a value, and the value itself if it is one."""
    waiting: list[Any] = [part]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        elif isinstance(value, dict):
            found = cast("Dict", value)
            waiting += found.values()
            yield found
