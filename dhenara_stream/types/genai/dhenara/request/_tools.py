"""Tools that a model may call."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.shared.base import InputModel
from dhenara_stream.types.shared.copies import deep_copied

from ._prompt import CacheControl
from ._structured_output import StructuredOutputConfig, why

__all__ = [
    "FunctionDefinition",
    "FunctionParameter",
    "FunctionParameters",
    "HostedToolUserLocation",
    "ToolChoice",
    "ToolDefinition",
    "WebSearchHostedTool",
]

Dict = dict[str, Any]
ToolName = Annotated[str, msgspec.Meta(pattern=r"^[a-zA-Z0-9_-]{1,128}$")]


class FunctionParameter(InputModel, kw_only=True):
    """One parameter of a function; ``type`` is a JSON schema type.

    ``json_schema`` overrides all else, for what the other fields cannot say.
    """

    type: str
    format: str | None = None
    description: str | None = None
    required: bool = False
    allowed_values: list[Any] | None = None
    default: Any = None
    items: Dict | None = None
    json_schema: Dict | None = None

    def to_schema(self) -> Dict:
        """The parameter as JSON schema, enum values kept."""
        if self.json_schema is not None:
            return deep_copied(self.json_schema)
        known: Dict = {
            "type": self.type,
            "format": self.format,
            "description": self.description,
            "enum": self.allowed_values,
            "default": self.default,
            "items": self.items,
        }
        schema = {name: value for name, value in known.items() if value is not None}
        if self.type == "array":
            schema.setdefault("items", {})
        return schema


class FunctionParameters(InputModel, kw_only=True):
    """The parameters of a function; required are those named here and those marked so."""

    type: Literal["object"] = "object"
    properties: dict[str, FunctionParameter]
    required: list[str] | None = []
    json_schema: Dict | None = None

    def check(self) -> None:
        for name in self.required or []:
            if name not in self.properties and self.json_schema is None:
                raise ConfigError(f"FunctionParameters.required: no property {name!r}")

    def to_schema(self) -> Dict:
        """The parameters as the JSON schema of an object."""
        if self.json_schema is not None:
            return deep_copied(self.json_schema)
        named = self.required or []
        required = [n for n, p in self.properties.items() if p.required or n in named]
        properties = {name: p.to_schema() for name, p in self.properties.items()}
        schema: Dict = {"type": "object", "properties": properties}
        return schema | ({"required": required} if required else {})


class FunctionDefinition(InputModel, kw_only=True):
    """A function's name, purpose and parameters."""

    name: ToolName
    description: str | None = None
    parameters: FunctionParameters


class ToolDefinition(InputModel, kw_only=True):
    """A tool of the caller's.

    Attributes:
        function: What the model is told.
        function_reference: The callable, for the caller's own use; never sent.
        cache_control: Marks the end of a prefix that the provider may cache.
        strict: Whether the provider must hold the arguments to the schema, where it can.
    """

    type: Literal["function"] = "function"
    function: FunctionDefinition
    function_reference: Callable[..., Any] | None = None
    cache_control: CacheControl | None = None
    strict: bool | None = None

    @classmethod
    def from_callable(cls, function: Callable[..., Any]) -> ToolDefinition:
        """A tool from a function's signature and docstring.

        The description is the docstring's first paragraph, parameters are described by
        ``:param name:`` or an ``Args:`` section, one without a default is required.

        Raises:
            ConfigError: If it has no usable name (give a lambda one), its signature cannot be
                read, or a parameter's type has no JSON schema.
        """
        named: Any = getattr(function, "func", function)  # of a functools.partial
        name = getattr(named, "__name__", type(named).__name__)
        doc = inspect.getdoc(named) or ""
        schema = _signature_schema(function, _parameter_docs(doc))
        definition = FunctionDefinition(
            name=name,
            description=" ".join(doc.split("\n\n", 1)[0].split()) or None,
            parameters=_parameters(schema),
        )
        return cls(function=definition, function_reference=function)

    @classmethod
    def from_struct(cls, struct: Callable[..., Any], name: str | None = None) -> ToolDefinition:
        """A tool whose arguments are the fields of a msgspec Struct, dataclass or TypedDict.

        Raises:
            ConfigError: If no JSON schema can be made of it.
        """
        model: Any = struct
        schema = StructuredOutputConfig.from_model(model).get_schema()
        return cls.from_schema(name or model.__name__, schema, _own_doc(model))

    @classmethod
    def from_schema(cls, name: str, schema: Dict, description: str | None = None) -> ToolDefinition:
        """A tool from the JSON schema of its arguments, which must be an object.

        Raises:
            ConfigError: If it is not.
        """
        if schema.get("type") != "object":
            raise ConfigError(f"tool {name!r}: the schema's type must be 'object'")
        parameters = _parameters(schema)
        function = FunctionDefinition(name=name, description=description, parameters=parameters)
        return cls(function=function)


def _own_doc(cls: type) -> str | None:
    # Not what it inherits, nor the signature that a dataclass without one gets.
    doc = vars(cls).get("__doc__")
    return inspect.cleandoc(doc) if doc and not doc.startswith(f"{cls.__name__}(") else None


def _parameters(schema: Dict) -> FunctionParameters:
    properties: Dict = schema.get("properties", {})
    return FunctionParameters(
        properties={name: _parameter(prop) for name, prop in properties.items()},
        required=list(schema.get("required", [])),
        json_schema=schema,
    )


def _parameter(prop: Any) -> FunctionParameter:
    # True and False are schemas, too: of anything and of nothing.
    schema: Dict = prop
    if isinstance(prop, bool):
        schema = {} if prop else {"not": {}}
    return FunctionParameter(
        type=str(schema.get("type", "string" if "enum" in schema else "object")),
        description=schema.get("description"),
        allowed_values=schema.get("enum"),
        json_schema=schema,
    )


def _signature_schema(function: Callable[..., Any], docs: dict[str, str]) -> Dict:
    parameters = {
        name: parameter
        for name, parameter in _signature(function).parameters.items()
        if parameter.kind not in _VARIADIC and name not in ("self", "cls")
    }
    wanted = [
        str if p.annotation is p.empty else _without_none(p.annotation) for p in parameters.values()
    ]
    schemas, definitions = _schemas(function, wanted)
    properties = dict(zip(parameters, schemas, strict=True))
    for name in properties.keys() & docs.keys():
        properties[name] = {"description": docs[name]} | properties[name]
    required = [name for name, p in parameters.items() if p.default is p.empty]
    schema: Dict = {"type": "object", "properties": properties}
    schema |= {"required": required} if required else {}
    return schema | ({"$defs": definitions} if definitions else {})


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function, eval_str=True)
    except (NameError, TypeError, ValueError) as error:
        raise ConfigError(f"tool {function!r}: its signature cannot be read: {error}") from error


_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _schemas(function: Callable[..., Any], hints: list[Any]) -> tuple[list[Dict], Dict]:
    try:
        schemas, definitions = msgspec.json.schema_components(hints, ref_template="#/$defs/{name}")
    except TypeError as error:
        raise ConfigError(
            f"tool {function!r}: a parameter's type has no JSON schema: {why(error)}"
        ) from None
    return list(schemas), definitions


def _without_none(hint: Any) -> Any:
    if get_origin(hint) not in (Union, types.UnionType):
        return hint
    members = tuple(member for member in get_args(hint) if member is not type(None))
    return Union[members]  # noqa: UP007  (built at run time)


_SPHINX = re.compile(r"^\s*:param (?:[^:]+ )?(\w+):\s*(.+?)(?=\n\s*:|\n\s*\n|\Z)", re.M | re.S)
_ARGS = re.compile(r"^(?:Args|Arguments|Parameters):\n((?:[ \t]+.*(?:\n|\Z)|\n)+)", re.M)
# The lines of a description stand deeper than its name.
_ARG = re.compile(r"^([ \t]+)(\w+)(?: \([^)]*\))?:[ \t]*(.*(?:\n\1[ \t]+\S.*)*)", re.M)


def _parameter_docs(doc: str) -> dict[str, str]:
    found = dict(_SPHINX.findall(doc))
    section = _ARGS.search(doc)
    if section:
        found |= {name: text for _, name, text in _ARG.findall(section.group(1))}
    return {name: " ".join(text.split()) for name, text in found.items()}


class ToolChoice(InputModel, kw_only=True):
    """Whether the model calls tools.

    Attributes:
        type: ``zero_or_more``: as it sees fit; ``one_or_more``: it must; ``specific``: it must
            call ``specific_tool_name``; ``None``: it must not.
        specific_tool_name: For ``specific``.
        parallel: ``False`` allows one call a turn at most.
    """

    type: Literal["zero_or_more", "one_or_more", "specific"] | None = "zero_or_more"
    specific_tool_name: str | None = None
    parallel: bool = True

    def check(self) -> None:
        if self.type == "specific" and not self.specific_tool_name:
            raise ConfigError("ToolChoice.specific_tool_name: needed for type 'specific'")


class HostedToolUserLocation(InputModel, kw_only=True):
    """Roughly where the user is; ``country`` is an ISO 3166 code."""

    type: Literal["approximate"] = "approximate"
    city: str | None = None
    region: str | None = None
    country: str | None = None
    timezone: str | None = None


class WebSearchHostedTool(InputModel, kw_only=True):
    """Web search that runs at the provider."""

    kind: Literal["hosted_tool"] = "hosted_tool"
    tool: Literal["web_search"] = "web_search"
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None
    user_location: HostedToolUserLocation | None = None
    max_uses: Annotated[int, msgspec.Meta(ge=1)] | None = None
    search_context_size: Literal["low", "medium", "high"] | None = None
    external_web_access: bool | None = None
    return_token_budget: Literal["default", "unlimited"] | None = None
    metadata: Dict = {}

    def check(self) -> None:
        if self.allowed_domains and self.blocked_domains:
            raise ConfigError(
                "WebSearchHostedTool: give allowed_domains or blocked_domains, not both"
            )
