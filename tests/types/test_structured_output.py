"""Answers that have to fit a schema: the schema of a class, and the answer back in that class."""

from __future__ import annotations

import copy
import sys
import time
from dataclasses import dataclass
from typing import Any, Generic, Optional, TypedDict, TypeVar

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhenara_stream.errors import ConfigError
from dhenara_stream.types import AIModelCallConfig, StructuredOutputConfig
from dhenara_stream.types.genai.dhenara.response import ChatResponseStructuredOutput
from dhenara_stream.types.shared.base import BaseModel

T = TypeVar("T")


class City(msgspec.Struct):
    name: str
    people: int = 0


class OwnBase(BaseModel, kw_only=True):
    name: str
    people: int = 0


@dataclass
class DataCity:
    name: str
    people: int = 0


class _Required(TypedDict):
    name: str


class DictCity(_Required, total=False):
    people: int


class PydanticCity(pydantic.BaseModel):
    name: str
    people: int = 0


CLASSES: list[Any] = [City, OwnBase, DataCity, DictCity, PydanticCity]
each_class = pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)


def config(cls: Any, **options: Any) -> StructuredOutputConfig:
    """The config for a class."""
    made = StructuredOutputConfig.from_model(cls)
    return made.model_copy(update=options)


def any_object(**options: Any) -> StructuredOutputConfig:
    """A config that any JSON object fits."""
    return StructuredOutputConfig(output_schema={"type": "object"}, **options)


# --- the schema


@each_class
def test_a_class_gives_the_schema_of_an_object(cls: Any) -> None:
    made = StructuredOutputConfig.from_model(cls)
    schema = made.get_schema()
    assert made.get_model_class() is cls
    assert schema["type"] == "object"
    assert schema["properties"]["name"]["type"] == "string"
    assert schema["properties"]["people"]["type"] == "integer"
    assert schema["required"] == ["name"]
    assert "$ref" not in schema


@each_class
def test_a_config_takes_the_class_itself(cls: Any) -> None:
    call = AIModelCallConfig(structured_output=cls)
    assert call.structured_output == StructuredOutputConfig.from_model(cls)
    assert call.output_config is call.structured_output
    call.structured_output = cls
    assert call.output_config == StructuredOutputConfig.from_model(cls)


class Tree(msgspec.Struct):
    children: list[Tree] = []
    root: Optional[City] = None  # noqa: UP045


class PydanticTree(pydantic.BaseModel):
    children: list[PydanticTree] = []
    root: PydanticCity | None = None


@pytest.mark.parametrize(("tree", "city"), [(Tree, "City"), (PydanticTree, "PydanticCity")])
def test_a_class_that_holds_itself_and_others_keeps_their_definitions(tree: Any, city: str) -> None:
    schema = StructuredOutputConfig.from_model(tree).get_schema()
    assert schema["type"] == "object"
    assert set(schema["$defs"]) == {tree.__name__, city}
    items = schema["properties"]["children"]["items"]
    assert items == {"$ref": f"#/$defs/{tree.__name__}"}
    assert schema["$defs"][tree.__name__]["properties"] == schema["properties"]


class Page(msgspec.Struct, Generic[T]):
    items: list[T]


def test_a_generic_class_with_its_parameter_is_no_class_but_its_schema_can_be_given() -> None:
    with pytest.raises(ConfigError, match="structured_output: expected one of StructuredOutput"):
        AIModelCallConfig(structured_output=Page[int])
    assert StructuredOutputConfig.from_model(Page).get_schema()["required"] == ["items"]


class Array(msgspec.Struct, array_like=True):
    name: str


class Strings(pydantic.RootModel[list[str]]):
    """A list, not an object."""


@pytest.mark.parametrize("cls", [Array, Strings, int])
def test_a_class_that_is_no_object_is_refused(cls: Any) -> None:
    with pytest.raises(ConfigError, match=r"^structured_output: .* is not a JSON object"):
        StructuredOutputConfig.from_model(cls)


class Opaque:
    pass


@pytest.mark.parametrize("cls", [Opaque, 5])
def test_what_has_no_schema_is_refused_with_what_would_do(cls: Any) -> None:
    message = r"^structured_output: no JSON schema can be made of .*; give a msgspec Struct, a d"
    with pytest.raises(ConfigError, match=message):
        StructuredOutputConfig.from_model(cls)


def test_the_callers_schema_is_copied_and_never_changed() -> None:
    schema: dict[str, Any] = {
        "type": "object",
        "title": "T",
        "properties": {"a": {"type": "string"}},
    }
    before = copy.deepcopy(schema)
    made = StructuredOutputConfig(output_schema=schema)
    made.get_schema()["properties"]["a"]["type"] = "integer"
    made.get_schema().pop("title")
    assert made.get_schema() == schema == before
    schema["properties"]["a"]["type"] = "null"
    assert made.get_schema() == before
    made.output_schema = schema
    schema["properties"].clear()
    assert made.get_schema()["properties"] == {"a": {"type": "null"}}


def test_a_pydantic_models_own_schema_is_not_changed() -> None:
    before = PydanticTree.model_json_schema()
    StructuredOutputConfig.from_model(PydanticTree).get_schema().clear()
    assert PydanticTree.model_json_schema() == before


# --- the answer


@each_class
def test_an_answer_that_fits_is_an_instance_of_the_class(cls: Any) -> None:
    made = StructuredOutputConfig.from_model(cls)
    data, error, processed = made.parse('{"name": "Paris", "people": 2}')
    assert (data, error, processed) == ({"name": "Paris", "people": 2}, None, False)
    assert data is not None
    assert made.instance(data) == cls(name="Paris", people=2)


@each_class
@pytest.mark.parametrize("text", ['{"people": 2}', '{"name": 5}', '{"name": "x", "people": "y"}'])
def test_an_answer_that_does_not_fit_the_class_says_why(cls: Any, text: str) -> None:
    data, error, processed = StructuredOutputConfig.from_model(cls).parse(text)
    assert (data, processed) == (None, False)
    assert error
    assert "name" in error or "people" in error


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/Address"}},
    "required": ["name"],
    "$defs": {"Address": {"type": "object", "properties": {"zip": {"type": "integer"}}}},
}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"name": "Ada", "address": {"zip": 1}}', None),
        ("{}", "$: 'name' is a required property"),
        ('{"name": 1}', "$.name: 1 is not of type 'string'"),
        ('{"name": "Ada", "address": {"zip": "x"}}', "$.address.zip: 'x' is not of type 'integer'"),
    ],
)
def test_without_a_class_an_answer_is_held_against_the_schema(text: str, error: str | None) -> None:
    data, why, _ = StructuredOutputConfig(output_schema=PERSON).parse(text)
    assert (data is None, why) == (error is not None, error)


STRANGE = [
    {"$ref": "http://127.0.0.1:9/a"},  # is not fetched
    {"$ref": "#/$defs/None"},
    {"type": "hologram"},
    {"pattern": "^\\p{L}+$"},  # ECMA's, strange to Python
    {"minLength": "x"},
]


@pytest.mark.parametrize("schema", STRANGE)
def test_a_schema_that_cannot_be_checked_is_not_held_against_an_answer(
    schema: dict[str, Any],
) -> None:
    made = StructuredOutputConfig(output_schema={"type": "object", "properties": {"a": schema}})
    assert made.parse('{"a": "x"}') == ({"a": "x"}, None, False)


@pytest.mark.parametrize("schema", STRANGE)
def test_what_was_found_before_the_check_failed_counts(schema: dict[str, Any]) -> None:
    fields = {"a": {"type": "integer"}, "b": schema}
    made = StructuredOutputConfig(output_schema={"type": "object", "properties": fields})
    data, why, _ = made.parse('{"a": "x", "b": "x"}')
    assert (data, why) == (None, "$.a: 'x' is not of type 'integer'")


def test_without_the_extra_any_object_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema.validators", None)
    made = StructuredOutputConfig(output_schema=PERSON)
    assert made.parse('{"x": 1}') == ({"x": 1}, None, False)


def test_without_a_class_an_answer_stays_as_it_is() -> None:
    made = any_object()
    assert made.get_model_class() is None
    assert made.parse('{"x": 1}') == ({"x": 1}, None, False)
    assert made.instance({"x": 1}) == {"x": 1}


@pytest.mark.parametrize(
    "text",
    [
        ' \n{"a": 1}\n ',
        '```json\n{"a": 1}\n```',
        '\n```\n{"a": 1}```\n',
        '```JSON-5\n{"a": 1}\n\n```  ',
        '"{\\"a\\": 1}"',
    ],
)
def test_fences_and_quotes_around_an_object_are_taken_off(text: str) -> None:
    assert any_object().parse(text) == ({"a": 1}, None, False)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "truncated"),
        ("no JSON", "malformed"),
        ('{"a": 1', "truncated"),
        ("[1]", "expected a JSON object, got list"),
        ("null", "expected a JSON object, got NoneType"),
        ('"{"', "truncated"),
        ('"[]"', "expected a JSON object, got list"),
        ('{"a": NaN}', "malformed"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_an_answer_that_is_no_object_says_why(text: str, error: str) -> None:
    data, why, _ = any_object().parse(text)
    assert data is None
    assert error in (why or "")


def test_a_class_that_fails_in_a_way_of_its_own_is_an_answer_that_does_not_fit() -> None:
    class Odd(pydantic.BaseModel):
        x: int

        @pydantic.field_validator("x")
        @classmethod
        def _check(cls, value: int) -> int:
            raise KeyError if value else LookupError("why")

    made = StructuredOutputConfig.from_model(Odd)
    assert made.parse('{"x": 1}') == (None, "KeyError", False)
    assert made.parse('{"x": 0}') == (None, "why", False)


# --- an object in other text


def test_an_object_in_other_text_does_only_where_that_is_allowed() -> None:
    text = 'Sure! {"a": {"b": 1}} Anything else?'
    assert any_object().parse(text)[0] is None
    found = any_object(allow_post_process_on_error=True).parse(text)
    assert found == ({"a": {"b": 1}}, None, True)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"a": 1} then {"a": 2}', {"a": 2}),
        ('{"a": 1} then {"a": 2', {"a": 1}),
        ('use {braces} like {"a": "}"}', {"a": "}"}),
        ('{{"a": 1}}', {"a": 1}),
        ('```json\n{"a": 1}\n```\nDone.', {"a": 1}),
        ('{"a": 1} {"a": NaN}', {"a": 1}),
        ("{no} [objects] {here", None),
        ("{" * 1999 + '{"a": 1}', {"a": 1}),
        ("{" * 2000 + '{"a": 1}', None),
        ('{"x":' * 5000, None),
    ],
)
def test_the_last_object_in_the_text_that_is_whole_is_found(
    text: str, found: dict[str, Any] | None
) -> None:
    data, error, processed = any_object(allow_post_process_on_error=True).parse(text)
    assert data == found
    assert processed is (found is not None)
    assert (error is None) is (found is not None)


def test_the_last_object_that_fits_the_class_is_taken() -> None:
    made = config(City, allow_post_process_on_error=True)
    text = '{"name": "Rome"} {"name": "Paris"} {"no": "city"}'
    assert made.parse(text) == ({"name": "Paris"}, None, True)


@given(st.text('{}[]":, a1\n`\\'))
def test_no_answer_makes_it_raise(text: str) -> None:
    for made in (any_object(allow_post_process_on_error=True), config(City)):
        data, error, _ = made.parse(text)
        assert (data is None) is (error is not None)


def test_a_long_answer_full_of_braces_is_searched_quickly() -> None:
    made = any_object(allow_post_process_on_error=True)
    begun = time.process_time()
    made.parse("{" * 100_000)
    made.parse('{"a":' * 20_000)
    assert time.process_time() - begun < 5


# --- what a response holds


def test_the_output_keeps_the_text_and_what_is_wrong_with_it() -> None:
    good = ChatResponseStructuredOutput.from_text('{"name": "x"}', config(City))
    assert (good.structured_data, good.parse_error) == ({"name": "x"}, None)
    bad = ChatResponseStructuredOutput.from_text("oops", config(City))
    assert (bad.structured_data, bad.raw_data, bad.post_processed) == (None, "oops", False)
    assert bad.parse_error
