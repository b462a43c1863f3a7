"""Tools, whether they are called, and the server's own web search."""

from __future__ import annotations

from typing import Any, NamedTuple

from dhenara_stream.dialects.drafting import cache_mark, check_names, plain_copy
from dhenara_stream.dialects.schema import OPENAI, compiles, with_items
from dhenara_stream.dialects.values import Dict, as_dict, as_text
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.dhenara.request import (
    HostedToolUserLocation,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)

from .draft import ChatDraft
from .messages import MAX_NAME
from .quirks import Quirks

__all__ = [
    "Choice",
    "choice_on_wire",
    "declared_tools",
    "name_of",
    "offered_tools",
    "parallel_calls",
    "tool_choice",
    "web_search_fields",
]

SERVER_SEARCH = "openrouter:web_search"

_TOOL_CHOICES = {"zero_or_more": "auto", "one_or_more": "any", "specific": "tool", None: "none"}
_CHOICE_WORDS = {"auto": "auto", "none": "none", "any": "any", "required": "any"}
_SEARCH_OPTIONS = (
    *("allowed_domains", "blocked_domains", "user_location", "max_uses", "search_context_size"),
    *("external_web_access", "return_token_budget"),
)


def declared_tools(draft: ChatDraft) -> list[Dict]:
    """The tools that the caller gives.

    Raises:
        ConfigError: If they cannot be sent.
    """
    tools: list[Dict] = [
        *(_tool(draft, tool) for tool in draft.config.tools or []),
        *(_server_search(draft, tool) for tool in draft.hosted if _is_server_search(draft)),
        *draft.raw_tools(),
    ]
    if tools and not draft.quirks.tools:
        declaration = "tools in AIModelAPI.config['quirks'] or by register_service"
        raise draft.lacks("tools", "tools", declaration)
    names = [name for tool in tools if (name := name_of(tool))]
    check_names(names)
    for name in names:
        if len(name) > MAX_NAME:
            raise ConfigError(f"tools: the name {name!r} is longer than {MAX_NAME} characters")
    return tools


def name_of(tool: Dict) -> str:
    """The name of a tool as the API has it; of hosted ones none."""
    return as_text((as_dict(tool.get("function")) or as_dict(tool.get("custom"))).get("name"))


def _tool(draft: ChatDraft, tool: ToolDefinition) -> Dict:
    function = tool.function
    what = f"tool {function.name!r}"
    schema: Dict = {"type": "object", **plain_copy(what, function.parameters.to_schema())}
    if "additionalProperties" not in schema:  # not an object of any keys
        schema.setdefault("properties", {})
    block: Dict = {"name": function.name}
    if function.description:
        block["description"] = function.description
    strict = tool.strict and draft.quirks.strict_schemas and compiles(schema, OPENAI)
    if strict:
        schema = draft.strict(what, schema, OPENAI)
    elif tool.strict:
        draft.note(what, "strict left out, the API or the schema does not allow it")
    block["parameters"] = with_items(schema)
    made: Dict = {"type": "function", "function": block | ({"strict": True} if strict else {})}
    return made | (cache_mark(tool.cache_control) if draft.quirks.cache_marks else {})


class Choice(NamedTuple):
    """Whether tools are called: ``auto``, ``none``, ``any`` or ``tool``.

    ``given`` is a choice that the API has and this library has not.
    """

    kind: str
    name: str = ""
    given: Dict | None = None

    @property
    def forces(self) -> bool:
        """Whether a call must come."""
        return self.kind in ("any", "tool")


def tool_choice(draft: ChatDraft, tools: list[Dict], output_tool: str | None) -> Choice | None:
    """Whether tools are called; ``None`` if that is left to the API.

    Raises:
        ConfigError: If the choice is none.
    """
    given = draft.options.pop("tool_choice", None)
    choice = _configured(draft.config.tool_choice) if given is None else _read_choice(given)
    if output_tool is not None:
        choice = _output_choice(choice, output_tool, alone=len(tools) == 1)
    if choice is None or tools:
        return choice
    if choice.kind != "none":
        draft.note("tool_choice", "left out, there are no tools")
    return None


def _configured(choice: ToolChoice | None) -> Choice | None:
    if choice is None:
        return None
    return Choice(_TOOL_CHOICES[choice.type], choice.specific_tool_name or "")


def _read_choice(given: Any) -> Choice:
    if isinstance(given, str) and given in _CHOICE_WORDS:
        return Choice(_CHOICE_WORDS[given])
    choice = as_dict(given)
    if choice.get("type") == "function" and name_of(choice):
        return Choice("tool", name_of(choice))
    if as_text(choice.get("type")):
        mode = as_dict(choice.get("allowed_tools")).get("mode", "required")
        return Choice("any" if mode == "required" else "auto", given=choice)
    raise ConfigError(
        "options['tool_choice']: expected 'auto', 'none', 'required' or a dict with a type; or use "
        "AIModelCallConfig.tool_choice"
    )


def _output_choice(choice: Choice | None, output_tool: str, *, alone: bool) -> Choice:
    if choice is not None and choice.kind == "tool":
        return choice
    if alone or (choice is not None and choice.kind == "none"):
        return Choice("tool", output_tool)
    return Choice("any")


def offered_tools(draft: ChatDraft, tools: list[Dict], choice: Choice | None) -> list[Dict]:
    """The tools of which the model may choose."""
    words = draft.quirks.tool_choice
    if choice is None:
        return tools
    if choice.kind == "none" and words == "none":
        draft.note("tools", "left out, the API knows no other way to forbid them")
        return []
    if choice.kind == "tool" and words == "word" and len(tools) > 1:
        draft.note("tools", f"only {choice.name!r} kept, the API can force a tool only if alone")
        return [tool for tool in tools if name_of(tool) == choice.name]
    return tools


def choice_on_wire(draft: ChatDraft, choice: Choice | None, *, reasons: bool) -> str | Dict | None:
    """The choice in the API's words, if they are needed."""
    if choice is None:
        return None
    words = draft.quirks.tool_choice
    if words == "none":
        if choice.forces:
            draft.note("tool_choice", "left out, the API cannot force tools")
        return None
    if choice.kind == "auto" and reasons and not draft.quirks.forced_tools_while_reasoning:
        return None  # the default; such a server takes no choice at all then
    made = _spelled(choice, draft.quirks)
    if draft.refuses("tool_choice", made if isinstance(made, str) else made["type"]):
        draft.refused("tool_choice")
        return None
    return made


def _spelled(choice: Choice, quirks: Quirks) -> str | Dict:
    if quirks.tool_choice == "named" and choice.given is not None:
        return choice.given
    if quirks.tool_choice == "named" and choice.kind == "tool":
        return {"type": "function", "function": {"name": choice.name}}
    return quirks.required_word if choice.forces else choice.kind


def parallel_calls(
    draft: ChatDraft, tools: list[Dict], choice: Choice | None, output_tool: str | None
) -> bool | None:
    """Whether tools may be called at the same time; ``None`` if that is left to the API."""
    wanted = draft.options.pop("parallel_tool_calls", None)
    configured = draft.config.tool_choice
    if wanted is None and configured is not None and not configured.parallel:
        wanted = False
    answers = output_tool is not None and choice == Choice("tool", output_tool)
    if answers:  # one answer is enough
        wanted = False
    if wanted is None or not tools:
        return None
    if draft.quirks.parallel_tool_calls:
        return bool(wanted)
    if not wanted and not answers:
        draft.note("parallel_tool_calls", "left out, the API cannot forbid calls in parallel")
    return None


# --- web search


def _is_server_search(draft: ChatDraft) -> bool:
    return draft.quirks.web_search == "server_tool"


def _can_search(draft: ChatDraft) -> bool:
    way = draft.quirks.web_search
    if way == "none" or draft.refuses("web_search_options"):
        return False
    return way != "search_models" or "-search-" in draft.model.model_name_with_version_suffix


def _searched(draft: ChatDraft, tool: WebSearchHostedTool, *known: str) -> Dict:
    """The options of a search that the API knows; of others it is told that they are left out."""
    for name in _SEARCH_OPTIONS:
        if name not in known and getattr(tool, name) is not None:
            draft.note(f"hosted_tools: {name}", "left out, this web search has no such option")
    given: Dict = {name: getattr(tool, name) for name in known}
    return {name: value for name, value in given.items() if value}


def _location(location: HostedToolUserLocation, *names: str) -> Dict:
    return {name: value for name in names if (value := getattr(location, name))}


def _server_search(draft: ChatDraft, tool: WebSearchHostedTool) -> Dict:
    known = ("allowed_domains", "blocked_domains", "search_context_size", "user_location")
    parameters = _searched(draft, tool, *known)
    if "blocked_domains" in parameters:
        parameters["excluded_domains"] = parameters.pop("blocked_domains")
    if tool.user_location is not None:
        names = ("type", "city", "region", "country", "timezone")
        parameters["user_location"] = _location(tool.user_location, *names)
    return {"type": SERVER_SEARCH} | ({"parameters": parameters} if parameters else {})


def web_search_fields(draft: ChatDraft) -> Dict:
    """The fields that ask for the server's own search.

    Raises:
        ConfigError: If there is none, or more than one is asked for.
    """
    if not draft.hosted or _is_server_search(draft):
        return {}
    if len(draft.hosted) > 1:
        raise ConfigError("hosted_tools: the API takes one web search")
    if not _can_search(draft):
        declaration = (
            "web_search in AIModelAPI.config['quirks'] or by register_service, and no "
            "'web_search_options' in the model's unsupported_parameters. Another API of the same "
            "provider may have one (OpenAI's: Responses, without config['api'])"
        )
        raise draft.lacks("hosted_tools", "web search", declaration)
    tool = draft.hosted[0]
    if draft.quirks.web_search == "domain_filter":
        return _filtered_search(draft, tool)
    options = _searched(draft, tool, "search_context_size", "user_location")
    if tool.user_location is not None:
        place = _location(tool.user_location, "city", "region", "country", "timezone")
        options["user_location"] = {"type": "approximate", "approximate": place}
    return {"web_search_options": options}


def _filtered_search(draft: ChatDraft, tool: WebSearchHostedTool) -> Dict:
    known = ("allowed_domains", "blocked_domains", "search_context_size", "user_location")
    options = _searched(draft, tool, *known)
    allowed, blocked = options.pop("allowed_domains", []), options.pop("blocked_domains", [])
    if tool.user_location is not None:
        options["user_location"] = _location(tool.user_location, "city", "region", "country")
        if tool.user_location.timezone:
            draft.note("hosted_tools: timezone", "left out, this web search has no such option")
    domains = [*allowed, *(f"-{domain}" for domain in blocked)]
    fields = {"search_domain_filter": domains, "web_search_options": options}
    return {name: value for name, value in fields.items() if value}
