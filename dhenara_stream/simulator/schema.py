"""A value for a JSON schema, the same one each time.

It covers what tools and structured output are described with: types, ``enum``, ``const``,
``$ref``, ``anyOf``/``oneOf``/``allOf``, bounds, formats. A ``pattern`` is not solved: give such
a property an ``examples`` or ``default``, which are taken as they are.
"""

from __future__ import annotations

import math
from typing import Any

from ._json import array, object_, string

__all__ = ["sample"]

# Beyond this depth optional properties are left out and arrays are kept short, so that schemas
# that refer to themselves come to an end; twice as deep nothing but null is tried.
_DEPTH = 6

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "12:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


def sample(schema: Any) -> Any:
    """A value that the schema accepts; for a schema that says nothing, a string."""
    return _Sampler(schema).value(schema, "value", 0)


class _Sampler:
    def __init__(self, root: Any) -> None:
        self._root = root

    def value(self, schema: Any, name: str, depth: int) -> Any:
        """A value for a schema; ``name`` is the property's, for strings to tell."""
        rules = self._merged(object_(schema), depth)
        for given in (rules.get("enum"), [rules.get("default")], rules.get("examples")):
            if array(given)[:1] not in ([], [None]):
                return array(given)[0]
        if "const" in rules:
            return rules["const"]
        return self._by_type(_type(rules), rules, name, depth)

    def _by_type(self, kind: str, rules: dict[str, Any], name: str, depth: int) -> Any:
        match kind:
            case "object":
                return self._object(rules, depth)
            case "array":
                return self._array(rules, name, depth)
            case "integer" | "number":
                return _number(rules, whole=kind == "integer")
            case "boolean":
                return True
            case "null":
                return None
            case _:
                return _string(rules, name)

    def _merged(self, rules: dict[str, Any], depth: int) -> dict[str, Any]:
        """The rules with references followed and combinations resolved to one alternative."""
        if depth > 2 * _DEPTH:
            return {"const": None}
        merged = {k: v for k, v in rules.items() if k not in {"$ref", "allOf", "anyOf", "oneOf"}}
        parts = [self._target(rules["$ref"])] if "$ref" in rules else []
        parts += array(rules.get("allOf"))
        parts += [self._alternative(rules[k], depth) for k in ("anyOf", "oneOf") if k in rules]
        for part in parts:
            merged = _both(merged, self._merged(object_(part), depth + 1))
        return merged

    def _alternative(self, choices: Any, depth: int) -> Any:
        """The first alternative; where it gets deep, ``null`` if that is one."""
        nulls = [choice for choice in array(choices) if object_(choice).get("type") == "null"]
        others = [choice for choice in array(choices) if choice not in nulls]
        ordered = nulls + others if depth >= _DEPTH else others + nulls
        return ordered[0] if ordered else {}

    def _target(self, reference: Any) -> Any:
        """What a reference within the schema points to (``#/$defs/Name``)."""
        target = self._root
        for step in string(reference).removeprefix("#").split("/")[1:]:
            target = object_(target).get(step.replace("~1", "/").replace("~0", "~"))
        return target

    def _object(self, rules: dict[str, Any], depth: int) -> dict[str, Any]:
        properties = object_(rules.get("properties"))
        required = [string(name) for name in array(rules.get("required"))]
        names = required if depth >= _DEPTH else [*properties, *required]
        return {name: self.value(properties.get(name), name, depth + 1) for name in names}

    def _array(self, rules: dict[str, Any], name: str, depth: int) -> list[Any]:
        fixed = [self.value(item, name, depth + 1) for item in array(rules.get("prefixItems"))]
        fewest = _count(rules, "minItems", 0 if depth >= _DEPTH else 1)
        most = _count(rules, "maxItems", max(fewest, 1))
        items = rules.get("items")
        rest = 0 if items is False else max(0, min(fewest, most) - len(fixed))
        more = [self.value(items, f"{name} {number + 1}", depth + 1) for number in range(rest)]
        if rules.get("uniqueItems"):
            more = [item for index, item in enumerate(more) if item not in more[:index]]
        return fixed + more


def _type(rules: dict[str, Any]) -> str:
    """The type that the rules name, or the one that their keywords speak of."""
    kinds = [kind for kind in array(rules.get("type")) if kind != "null"] or ["null"]
    kind = kinds[0] if isinstance(rules.get("type"), list) else string(rules.get("type"))
    if kind:
        return string(kind)
    for hint, keywords in (("object", {"properties", "required"}), ("array", {"items"})):
        if keywords & rules.keys():
            return hint
    return "string"


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Two sets of rules as one: properties and requirements add up, else the first wins."""
    merged = {**other, **one}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**object_(other["properties"]), **object_(one["properties"])}
    if "required" in one and "required" in other:
        merged["required"] = [*array(one["required"]), *array(other["required"])]
    return merged


def _count(rules: dict[str, Any], key: str, otherwise: int) -> int:
    value = rules.get(key, otherwise)
    return int(value) if isinstance(value, (int, float)) else otherwise


def _string(rules: dict[str, Any], name: str) -> str:
    if string(rules.get("format")) in _FORMATS:
        return _FORMATS[rules["format"]]
    text = f"example {name}".replace("_", " ")
    fewest = _count(rules, "minLength", 0)
    return text.ljust(fewest, ".")[: _count(rules, "maxLength", max(fewest, len(text)))]


def _number(rules: dict[str, Any], *, whole: bool) -> int | float:
    """The number next to 1, or to the first multiple asked for, that the bounds allow."""
    low, high = _bounds(rules, whole=whole)
    step = rules.get("multipleOf", 1 if whole else None)
    value = min(max(step or 1, low), high)
    if step:
        value = math.ceil(value / step) * step
        value = value if value <= high else math.floor(high / step) * step
    return value


def _bounds(rules: dict[str, Any], *, whole: bool) -> tuple[float, float]:
    """The least and the greatest number allowed; exclusive bounds as the next number inside."""
    low, high = rules.get("minimum", -math.inf), rules.get("maximum", math.inf)
    above, below = rules.get("exclusiveMinimum"), rules.get("exclusiveMaximum")
    if above is not None:
        low = max(low, math.floor(above) + 1 if whole else math.nextafter(above, math.inf))
    if below is not None:
        high = min(high, math.ceil(below) - 1 if whole else math.nextafter(below, -math.inf))
    return low, high
