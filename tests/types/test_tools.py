"""Tools: from a function's signature, a class or a schema to what a provider is told."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional, TypedDict

import msgspec
import pytest

from dhenara_stream.errors import ConfigError
from dhenara_stream.types import (
    FunctionDefinition,
    FunctionParameter,
    FunctionParameters,
    HostedToolUserLocation,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)

if TYPE_CHECKING:
    from decimal import Decimal as OnlyForCheckers


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The schema of a function's parameters."""
    return ToolDefinition.from_callable(function).function.parameters.to_schema()


def properties_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The schemas of a function's parameters, by name."""
    properties: dict[str, Any] = schema_of(function)["properties"]
    return properties


# --- from_callable


def weather(city: str, days: int = 1, unit: Literal["c", "f"] = "c") -> str:
    """The weather of a city,

    told shortly.

    Args:
        city: Its name,
            with the country: "Paris, FR".
        days (int, optional): How many.
        other: No parameter of it.

    Returns:
        unit: not a parameter either.
    """
    return f"{city} {days} {unit}"


def test_a_function_is_a_tool_with_its_name_its_purpose_and_its_parameters() -> None:
    tool = ToolDefinition.from_callable(weather)
    assert tool.type == "function"
    assert tool.function.name == "weather"
    assert tool.function.description == "The weather of a city,"
    assert tool.function_reference is weather
    assert tool.function.parameters.to_schema() == {
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": 'Its name, with the country: "Paris, FR".'},
            "days": {"type": "integer", "description": "How many."},
            "unit": {"enum": ["c", "f"]},
        },
        "required": ["city"],
    }


def test_the_parameters_can_be_read_one_by_one() -> None:
    parameters = ToolDefinition.from_callable(weather).function.parameters
    assert {name: p.type for name, p in parameters.properties.items()} == {
        "city": "string",
        "days": "integer",
        "unit": "string",
    }
    assert parameters.properties["unit"].allowed_values == ["c", "f"]
    assert parameters.properties["days"].description == "How many."
    assert parameters.required == ["city"]


def test_sphinx_describes_parameters_too() -> None:
    def f(city: str, days: int, unit: str) -> None:
        """Forecast.

        :param city: Its name,
            in English.
        :param int days: How many.
        :returns: Nothing.
        """

    properties = properties_of(f)
    assert properties["city"]["description"] == "Its name, in English."
    assert properties["days"]["description"] == "How many."
    assert "description" not in properties["unit"]


def test_a_description_in_the_annotation_wins() -> None:
    def f(city: Annotated[str, msgspec.Meta(description="annotated", min_length=1)]) -> None:
        """Forecast.

        Args:
            city: documented
        """

    assert properties_of(f)["city"] == {
        "type": "string",
        "description": "annotated",
        "minLength": 1,
    }


def test_without_annotations_parameters_are_strings_and_without_a_docstring_there_is_none() -> None:
    def f(a, b=1): ...  # type: ignore[no-untyped-def]

    tool = ToolDefinition.from_callable(f)  # pyright: ignore[reportUnknownArgumentType]
    assert tool.function.description is None
    assert tool.function.parameters.to_schema() == {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "required": ["a"],
    }


def test_a_function_without_parameters_is_an_empty_object() -> None:
    def f() -> None: ...

    assert schema_of(f) == {"type": "object", "properties": {}}


def test_an_optional_parameter_is_of_its_type_without_none() -> None:
    def f(
        a: int | None,
        b: Optional[str] = None,  # noqa: UP045
        c: int | str | None = None,
        d: None = None,
    ) -> None: ...

    assert properties_of(f) == {
        "a": {"type": "integer"},
        "b": {"type": "string"},
        "c": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        "d": {"type": "null"},
    }
    assert schema_of(f)["required"] == ["a"]


def test_variadic_parameters_are_left_out() -> None:
    def f(a: int, *args: int, b: int, **kwargs: int) -> None: ...

    assert schema_of(f)["required"] == ["a", "b"]
    assert set(properties_of(f)) == {"a", "b"}


class Level(enum.Enum):
    LOW = "low"
    HIGH = "high"


class Place(msgspec.Struct):
    """Somewhere."""

    city: str
    inside: Place | None = None


@dataclass
class Box:
    width: float = 1.0


class Options(TypedDict, total=False):
    deep: bool


def test_types_of_ones_own_become_definitions() -> None:
    def f(level: Level, place: Place, boxes: list[Box], options: Options) -> None: ...

    schema = schema_of(f)
    assert schema["properties"]["place"] == {"$ref": "#/$defs/Place"}
    assert schema["properties"]["boxes"] == {"type": "array", "items": {"$ref": "#/$defs/Box"}}
    assert set(schema["$defs"]) == {"Level", "Place", "Box", "Options"}
    assert schema["$defs"]["Level"]["enum"] == ["high", "low"]


class Service:
    """Finds things."""

    def find(self, name: str) -> str:
        """Find it."""
        return name

    @classmethod
    def make(cls, name: str) -> str:
        """Make it."""
        return name

    async def later(self, name: str) -> str:
        """Find it later."""
        return name

    def __call__(self, name: str) -> str:
        return name


@pytest.mark.parametrize(
    ("function", "name", "description"),
    [
        (Service().find, "find", "Find it."),
        (Service.find, "find", "Find it."),
        (Service.make, "make", "Make it."),
        (Service().later, "later", "Find it later."),
        (Service(), "Service", "Finds things."),
        (functools.partial(Service().find), "find", "Find it."),
        (functools.wraps(Service().find)(lambda *a: a), "find", "Find it."),
    ],
)
def test_methods_objects_and_partials_are_functions_too(
    function: Callable[..., Any], name: str, description: str
) -> None:
    tool = ToolDefinition.from_callable(function)
    assert (tool.function.name, tool.function.description) == (name, description)
    assert tool.function_reference is function
    assert tool.function.parameters.to_schema() == {
        "type": "object",
        "properties": {"name": {"type": "string"}},
        "required": ["name"],
    }


def test_a_partial_needs_only_what_it_has_not() -> None:
    schema = schema_of(functools.partial(weather, days=3))
    assert schema["required"] == ["city"]


def unresolved(amount: OnlyForCheckers) -> None: ...
def no_schema(amount: Service) -> None: ...


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda x: x, r"^FunctionDefinition\.name: expected `str` matching regex"),
        (unresolved, r"^tool <function unresolved.*signature cannot be read: name 'OnlyForCheck"),
        (no_schema, r"^tool <function no_schema.*: a parameter's type has no JSON schema: type <"),
        (iter, r"^tool <built-in function iter>: its signature cannot be read"),
        (5, r"^tool 5: its signature cannot be read: 5 is not a callable"),
    ],
)
def test_a_function_that_makes_no_tool_says_why(function: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ToolDefinition.from_callable(function)


# --- from_struct, from_schema


class Described(msgspec.Struct):
    """Where it is.

    In detail.
    """

    city: str


class Bare(msgspec.Struct):
    city: str


@dataclass
class BareData:
    city: str


class BareDict(TypedDict):
    city: str


@pytest.mark.parametrize(
    ("cls", "description"),
    [
        (Described, "Where it is.\n\nIn detail."),
        (Bare, None),
        (BareData, None),
        (BareDict, None),
    ],
)
def test_a_class_is_a_tool_whose_arguments_are_its_fields(
    cls: type, description: str | None
) -> None:
    tool = ToolDefinition.from_struct(cls)
    assert tool.function.name == cls.__name__
    assert tool.function.description == description
    schema = tool.function.parameters.to_schema()
    assert schema["properties"] == {"city": {"type": "string"}}
    assert schema["required"] == ["city"]
    assert ToolDefinition.from_struct(cls, name="f").function.name == "f"


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "a": {"type": "array", "items": {"type": "string", "enum": ["x"]}},
        "b": True,
        "c": False,
        "d": {"enum": [1, 2], "description": "one or two"},
    },
    "required": ["a"],
    "additionalProperties": False,
}


def test_a_schema_goes_to_the_provider_as_it_is() -> None:
    before = msgspec.json.encode(SCHEMA)
    tool = ToolDefinition.from_schema("f", SCHEMA, "does it")
    assert tool.function.parameters.to_schema() == SCHEMA
    assert tool.function.description == "does it"
    sent = tool.function.parameters.to_schema()
    sent["properties"]["a"]["items"].clear()
    part = tool.function.parameters.properties["a"].to_schema()
    part["items"].clear()
    assert msgspec.json.encode(SCHEMA) == before
    assert tool.function.parameters.to_schema() == SCHEMA


def test_the_parameters_of_a_schema_can_be_read() -> None:
    properties = ToolDefinition.from_schema("f", SCHEMA).function.parameters.properties
    assert properties["a"].type == "array"
    assert properties["b"].to_schema() == {}
    assert properties["c"].to_schema() == {"not": {}}
    assert properties["d"].allowed_values == [1, 2]
    assert properties["d"].description == "one or two"


@pytest.mark.parametrize("schema", [{}, {"type": "array"}, {"properties": {}}])
def test_a_schema_that_is_no_object_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"^tool 'f': the schema's type must be 'object'"):
        ToolDefinition.from_schema("f", schema)


# --- by hand


def test_parameters_by_hand_are_json_schema_enum_values_kept() -> None:
    parameters = FunctionParameters(
        properties={
            "a": FunctionParameter(type="string", allowed_values=["x", "y"], required=True),
            "b": FunctionParameter(type="array", default=[], description="many"),
            "c": FunctionParameter(type="array", items={"type": "integer"}),
            "d": FunctionParameter(type="string", format="date", json_schema={"const": 1}),
            "e": FunctionParameter(type="string", format="date"),
        },
        required=["e"],
    )
    assert parameters.to_schema() == {
        "type": "object",
        "properties": {
            "a": {"type": "string", "enum": ["x", "y"]},
            "b": {"type": "array", "default": [], "description": "many", "items": {}},
            "c": {"type": "array", "items": {"type": "integer"}},
            "d": {"const": 1},
            "e": {"type": "string", "format": "date"},
        },
        "required": ["a", "e"],
    }
    assert FunctionParameters(properties={}, required=None).to_schema() == {
        "type": "object",
        "properties": {},
    }


def test_a_required_parameter_must_be_there() -> None:
    with pytest.raises(ConfigError, match=r"^FunctionParameters\.required: no property 'x'"):
        FunctionParameters(properties={}, required=["x"])


@pytest.mark.parametrize("name", ["", "a b", "a.b", "é", "a" * 129])
def test_a_name_that_providers_refuse_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^FunctionDefinition\.name: expected `str` matching"):
        FunctionDefinition(name=name, parameters=FunctionParameters(properties={}))


# --- choice, hosted tools


def test_a_choice_is_free_unless_it_says_more() -> None:
    assert ToolChoice() == ToolChoice(type="zero_or_more", parallel=True)
    assert ToolChoice(type=None).type is None
    assert ToolChoice(type="specific", specific_tool_name="f").specific_tool_name == "f"
    with pytest.raises(ConfigError, match=r"^ToolChoice\.specific_tool_name: needed for type"):
        ToolChoice(type="specific")
    with pytest.raises(ConfigError, match=r"^ToolChoice\.type: .*'any'; allowed: 'zero_or_more'"):
        ToolChoice(type="any")  # type: ignore[arg-type]


def test_a_search_allows_domains_or_blocks_them() -> None:
    location = HostedToolUserLocation(city="Paris", country="FR")
    tool = WebSearchHostedTool(allowed_domains=["a.example"], user_location=location, max_uses=1)
    assert (tool.kind, tool.tool) == ("hosted_tool", "web_search")
    assert location.type == "approximate"
    with pytest.raises(ConfigError, match="give allowed_domains or blocked_domains, not both"):
        tool.blocked_domains = ["b.example"]
    with pytest.raises(ConfigError, match=r"max_uses: expected `int` >= 1"):
        WebSearchHostedTool(max_uses=0)
