"""Sampled values fit their schemas; pydantic judges those that a class describes."""

from __future__ import annotations

import enum
import math
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from dhenara_stream.simulator.schema import sample


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    colour: Colour
    scores: list[Annotated[float, Field(gt=0, lt=1)]] = Field(min_length=2, max_length=3)


class Tree(BaseModel):
    name: str
    children: list[Tree]
    parent: Tree | None = None


class Everything(BaseModel):
    text: str = Field(min_length=40)
    short: str = Field(max_length=3)
    count: int = Field(ge=10, le=20, multiple_of=7)
    below: int = Field(lt=-5)
    above: int = Field(gt=5)
    ratio: float
    flag: bool
    nothing: None
    kind: Literal["only"]
    inner: Inner
    maybe: Inner | None
    either: int | str
    id: UUID
    pair: tuple[int, str]
    free: dict[str, int]
    tree: Tree
    defaulted: int = 3


@pytest.mark.parametrize("kind", [Everything, Inner, Tree, list[Inner], int, str | None])
def test_a_classs_schema_is_met(kind: Any) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    adapter.validate_python(sample(adapter.json_schema()))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({}, "example value"),
        (None, "example value"),
        ({"type": "object"}, {}),
        ({"properties": {"city_name": {}}}, {"city_name": "example city name"}),
        ({"required": ["a"]}, {"a": "example a"}),
        ({"items": {"type": "integer"}}, [1]),
        ({"type": ["null", "integer"]}, 1),
        ({"type": ["null"]}, None),
        ({"type": "string", "default": "d"}, "d"),
        ({"type": "string", "default": None, "examples": ["e"]}, "e"),
        ({"type": "string", "enum": ["x", "y"], "default": "y"}, "x"),
        ({"const": None}, None),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"type": "string", "format": "odd"}, "example value"),
        ({"type": "number"}, 1),
        ({"type": "number", "maximum": 0.5}, 0.5),
        ({"type": "number", "multipleOf": 0.5, "minimum": 0.7}, 1.0),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "integer", "exclusiveMaximum": 1}, 0),
        ({"type": "integer", "minimum": 8, "maximum": 11, "multipleOf": 5}, 10),
        ({"type": "integer", "minimum": 4, "maximum": 5, "multipleOf": 4}, 4),
        ({"type": "integer", "minimum": 0.5, "maximum": 1.5}, 1),
        ({"type": "number", "exclusiveMinimum": 1}, math.nextafter(1, 2)),
        ({"type": "array", "maxItems": 0}, []),
        ({"type": "array", "minItems": "odd"}, ["example value 1"]),
        ({"type": "array", "items": False, "prefixItems": [{"type": "boolean"}]}, [True]),
        ({"type": "array", "items": {"const": 1}, "minItems": 2, "uniqueItems": True}, [1]),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
        ({"oneOf": [{"type": "boolean"}]}, True),
        ({"anyOf": []}, "example value"),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "integer"}}}, 1),
        ({"$ref": "#/nowhere/at/all"}, "example value"),
    ],
)
def test_a_schemas_keywords(schema: Any, value: Any) -> None:
    assert sample(schema) == value


def test_parts_of_all_of_add_up() -> None:
    schema = {
        "properties": {"a": {"type": "integer"}},
        "required": ["a"],
        "allOf": [{"properties": {"a": {}, "b": {"type": "boolean"}}, "required": ["b"]}],
    }
    assert sample(schema) == {"a": 1, "b": True}


def test_a_schema_without_an_end_comes_to_one() -> None:
    loop = {"properties": {"next": {"$ref": "#"}}, "required": ["next"]}
    assert "next" in sample(loop)
    assert sample({"$ref": "#"}) is None
