"""A call as the Responses API takes it: ``POST /v1/responses``.

What a model takes is data, in its ``ChatModelSettings``, and what a server takes is, in
:class:`Quirks`; neither is named here. What would be refused is left out or changed, and
``WireRequest.adjustments`` says so; what cannot be meant is a ``ConfigError``.

- Nothing is kept at the provider (``store``), so reasoning is asked for in encrypted form: it goes
  back with the next turn. Options that need the stored answer, or ``store``, change that.
- Reasoning that is on is shown as a summary. Where it is off, models that can do without are told
  so. An effort alone means reasoning, too, but shows nothing of it.
- Models that can do without reasoning take sampling parameters only then.
- ``max_output_tokens`` is sent if it is asked for: the API's own default is the model's most, and
  what is sent counts against rate limits.
- Schemas are made strict where they can be; where not, they are sent as they are, not enforced.
- ``options`` come last: they win over what the config says, and dicts are merged into dicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from dhenara_stream.dialects.base import ChatRequest, WireRequest
from dhenara_stream.dialects.drafting import (
    OUTPUT_TOOL_PURPOSE,
    STRUCTURED_OUTPUT_TOOL,
    Draft,
    call_token,
    check_names,
    check_number,
    free_name,
    merged_body,
    plain_copy,
)
from dhenara_stream.dialects.schema import OPENAI, compiles, with_items
from dhenara_stream.dialects.values import Dict, as_text
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.dhenara.request import (
    SystemInstruction,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)

from .messages import MAX_NAME, build_input
from .quirks import PATH, Quirks

__all__ = ["build_request"]

ENCRYPTED_REASONING = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"

MIN_OUTPUT_TOKENS = 16
MIN_COMPACT_THRESHOLD = 1000
MAX_METADATA_VALUE = 512


_RESERVED = {
    "model": "the endpoint's ai_model",
    "stream": "AIModelCallConfig.streaming",
    **dict.fromkeys(("input", "messages"), "messages or prompt"),
    **dict.fromkeys(("instructions", "system"), "instructions"),
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens", "max_output_tokens"),
        "AIModelCallConfig.max_output_tokens",
    ),
}
_MORE_OPTIONS = frozenset(
    (
        *("stop", "seed", "logit_bias", "frequency_penalty", "presence_penalty"),
        *("repetition_penalty", "top_k", "top_a", "min_p"),
    )
)
_FOREIGN = frozenset(
    (
        *("n", "best_of", "echo", "suffix", "response_format", "response_mime_type"),
        *("response_schema", "modalities", "audio", "prediction", "web_search_options"),
        *("function_call", "functions", "stop_sequences", "thinking", "betas", "container"),
        *("output_config", "cache_control", "candidate_count", "safety_settings"),
        *("generation_config", "thinking_config"),
    )
)
_SAMPLING = ("temperature", "top_p", "top_logprobs")
_RANGES = {"temperature": (0, 2), "top_p": (0, 1), "top_logprobs": (0, 20)}
_NEED_STORAGE = ("background", "conversation", "previous_response_id")
_TOOL_CHOICES = {"zero_or_more": "auto", "one_or_more": "required", None: "none"}
_CHOICE_WORDS = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
_DEFAULT_EFFORT = "medium"


def build_request(
    request: ChatRequest, quirks: Quirks | None = None, path: str = PATH
) -> WireRequest:
    """The request that asks for this.

    Raises:
        ConfigError: If it cannot be asked for, naming the argument.
    """
    draft = _Draft(request, quirks or Quirks())
    tools, output_tool = _tools(draft)
    fields: Dict = {
        "model": draft.model.model_name_with_version_suffix,
        "stream": draft.config.streaming or None,
        "instructions": draft.system if draft.quirks.instructions == "field" else None,
        "input": _input(draft, request),
        "max_output_tokens": _max_output_tokens(draft),
        "reasoning": _reasoning(draft),
        "text": _text(draft, output_tool),
        "tools": tools,
        **_tool_choice(draft, tools, output_tool),
        "max_tool_calls": _max_tool_calls(draft, tools),
        "store": draft.store,
        "include": _include(draft),
        "context_management": _context_management(draft),
        **_user(draft),
    }
    body = {name: value for name, value in fields.items() if value or value is False}
    body = merged_body(body, draft.options)
    _drop_what_is_refused(draft, body)
    return WireRequest(
        path=path,
        headers=draft.common_headers() | draft.headers,
        body=body,
        adjustments=draft.notes,
        output_tool=output_tool,
    )


class _Draft(Draft):
    """A draft of a request to the Responses API."""

    def __init__(self, request: ChatRequest, quirks: Quirks) -> None:
        super().__init__(request, _RESERVED)
        self.quirks = quirks
        foreign = _FOREIGN if quirks.more_options else _FOREIGN | _MORE_OPTIONS
        self.leave_out_foreign(foreign, "the Responses API")
        for name, (least, most) in _RANGES.items():
            check_number(name, self.options.get(name), least, most)
        self.system = _system(request.system)
        self.store = self._store()
        can_be_asked = self.settings.reasoning_control != "none" and not self.refuses("reasoning")
        self.reasons = self.settings.supports_reasoning and can_be_asked

    def _store(self) -> bool | None:
        store = self.options.pop("store", None)
        if store is not None and not isinstance(store, bool):
            raise ConfigError("options['store']: expected True or False")
        if (
            store is None
            and self.quirks.stateless
            and not any(map(self.options.get, _NEED_STORAGE))
        ):
            return False
        return store

    @property
    def can_skip_reasoning(self) -> bool:
        """Whether the model knows the effort ``none``."""
        efforts = self.settings.supported_reasoning_efforts or ()
        if not self.reasons or "none" in efforts:
            return self.reasons
        return self.quirks.none_effort and bool(efforts) and not self.refuses("temperature")

    def dict_option(self, name: str) -> Dict:
        """Take an option that is a dict.

        Raises:
            ConfigError: If it is none.
        """
        given: Any = self.options.pop(name, None) or {}
        if not isinstance(given, dict):
            raise ConfigError(f"options[{name!r}]: expected a dict")
        return cast("Dict", given)


# --- instructions, input, limits


def _system(instructions: Sequence[SystemInstruction]) -> str:
    texts = (item.get_formatted_text() for item in instructions)
    return " ".join(text for text in texts if text.strip())


def _input(draft: _Draft, request: ChatRequest) -> list[Dict]:
    items = build_input(
        request.turns,
        request.endpoint,
        reasons=draft.reasons,
        stored=draft.store is not False,
    )
    role = draft.quirks.instructions
    if role == "field" or not draft.system:
        return items
    return [{"role": role, "content": draft.system}, *items]


def _max_output_tokens(draft: _Draft) -> int | None:
    if draft.config.max_output_tokens is None:
        return None
    most = draft.output_limit()
    if most < MIN_OUTPUT_TOKENS:
        draft.note("max_output_tokens", f"raised to {MIN_OUTPUT_TOKENS}, the least")
    return max(most, MIN_OUTPUT_TOKENS)


def _user(draft: _Draft) -> Dict:
    user = draft.config.get_user()
    if user is None:
        return {}
    if draft.quirks.user != "metadata":
        return {draft.quirks.user: user}
    if len(user) > MAX_METADATA_VALUE:
        raise ConfigError(f"metadata['user_id']: longer than {MAX_METADATA_VALUE} characters")
    return {"metadata": {"user_id": user}}


def _include(draft: _Draft) -> list[str]:
    is_empty = draft.options.get("include") == []
    given = draft.texts("include")
    if not draft.reasons and ENCRYPTED_REASONING in given:
        given.remove(ENCRYPTED_REASONING)
        draft.refused(f"include ({ENCRYPTED_REASONING})")
    wanted: list[str] = []
    if draft.reasons and draft.store is False and draft.quirks.stateless and not is_empty:
        wanted.append(ENCRYPTED_REASONING)
    if draft.options.pop("logprobs", False) or "top_logprobs" in draft.options:
        wanted.append(LOGPROBS)
    return list(dict.fromkeys((*wanted, *given)))


def _context_management(draft: _Draft) -> list[Dict] | None:
    policy = draft.config.context_policy
    if policy is None or policy.mode not in ("provider_compaction", "provider_context_editing"):
        return None
    if policy.mode != "provider_compaction" or not draft.quirks.compaction:
        draft.note("context_policy", f"left out, the API has no {policy.mode}")
        return None
    for name in ("edits", "instructions", "pause_after_compaction"):
        if getattr(policy, name):
            draft.note(f"context_policy.{name}", "left out, the API has no such option")
    entry: Dict = {"type": "compaction"}
    tokens = policy.compact_threshold_tokens
    if tokens is not None and tokens < MIN_COMPACT_THRESHOLD:
        tokens = MIN_COMPACT_THRESHOLD
        draft.note("context_policy.compact_threshold_tokens", f"raised to {tokens}, the least")
    return [entry | ({"compact_threshold": tokens} if tokens else {})]


# --- reasoning


def _reasoning(draft: _Draft) -> Dict:
    given = draft.dict_option("reasoning")
    effort = draft.options.pop("reasoning_effort", None)
    if effort is not None:
        given = {"effort": effort, **given}
    if given and given.get("effort") != "none":
        draft.need_reasoning("options['reasoning']")
    if not draft.reasons:
        if given or draft.config.reasoning_effort:
            draft.refused("reasoning")
        return {}
    if draft.config.max_reasoning_tokens is not None:
        draft.note("max_reasoning_tokens", "left out, the API takes an effort")
    effort = given.get("effort") or _effort(draft)
    fields: Dict = {"effort": effort} if effort else {}
    if draft.config.reasoning and effort != "none" and draft.quirks.summary:
        fields["summary"] = "auto"
    return fields | given


def _effort(draft: _Draft) -> str | None:
    if draft.config.reasoning_effort is not None:
        return draft.effort(common=True)
    if not draft.can_skip_reasoning:
        return None
    # What such a model does by default differs from one to the next.
    return draft.effort(_DEFAULT_EFFORT) if draft.config.reasoning else "none"


# --- tools


def _tools(draft: _Draft) -> tuple[list[Dict], str | None]:
    """The tools, and the name of the one that carries the structured output."""
    raw = draft.raw_tools()
    tools: list[Dict] = [
        *(_tool(draft, tool) for tool in draft.config.tools or []),
        *(_web_search(draft, tool) for tool in draft.config.hosted_tools or []),
        *raw,
    ]
    names = [name for tool in tools if (name := as_text(tool.get("name")))]
    check_names(names)
    for name in names:
        if len(name) > MAX_NAME:
            raise ConfigError(f"tools: the name {name!r} is longer than {MAX_NAME} characters")
    output = _output_tool(draft, names)
    if output is None:
        return tools, None
    return [*tools, output], output["name"]


def _tool(draft: _Draft, tool: ToolDefinition) -> Dict:
    function = tool.function
    what = f"tool {function.name!r}"
    schema = plain_copy(what, function.parameters.to_schema())
    strict = bool(tool.strict) and compiles(schema, OPENAI)
    if strict:
        schema = draft.strict(what, schema, OPENAI)
    elif tool.strict:
        draft.note(what, "strict left out, the schema does not allow it")
    block: Dict = {"type": "function", "name": function.name}
    if function.description:
        block["description"] = function.description
    return block | {"parameters": _of_object(schema), "strict": strict}


def _of_object(schema: Dict) -> Dict:
    return with_items({"type": "object", "properties": {}, **schema})


def _web_search(draft: _Draft, tool: WebSearchHostedTool) -> Dict:
    kind = draft.quirks.web_search
    if kind is None:
        declaration = "Quirks(web_search=...) of the place, by register_provider"
        raise draft.lacks("hosted_tools", "web search", declaration)
    block: Dict = {"type": kind}
    if tool.search_context_size is not None:
        block["search_context_size"] = tool.search_context_size
    if tool.user_location is not None:
        location = tool.user_location.model_dump()
        block["user_location"] = {k: v for k, v in location.items() if v is not None}
    unknown = ["blocked_domains", "return_token_budget"]
    if kind == "web_search":
        if tool.allowed_domains:
            block["filters"] = {"allowed_domains": list(tool.allowed_domains)}
        if tool.external_web_access is not None:
            block["external_web_access"] = tool.external_web_access
    else:
        unknown += ["allowed_domains", "external_web_access"]
    for name in unknown:
        if getattr(tool, name) is not None:
            draft.note(f"hosted_tools: {name}", "left out, this web search has no such option")
    return block


def _max_tool_calls(draft: _Draft, tools: list[Dict]) -> int | None:
    """The limit of the one hosted tool; the API has one for all of them together."""
    limit = next((t.max_uses for t in draft.config.hosted_tools or [] if t.max_uses), None)
    if limit is None:
        return None
    hosted = [tool for tool in tools if tool.get("type") not in ("function", "custom")]
    if len(hosted) == 1:
        return limit
    draft.note("hosted_tools: max_uses", "left out, the limit of the API is one for all tools")
    return None


def _tool_choice(draft: _Draft, tools: list[Dict], output_tool: str | None) -> Dict:
    config = draft.config.tool_choice
    given = draft.options.pop("tool_choice", None)
    choice = _choice(config) if given is None else _given_choice(given)
    parallel = draft.options.pop("parallel_tool_calls", None)
    if parallel is None and config is not None and not config.parallel:
        parallel = False
    if output_tool is not None:
        alone = len(tools) == 1 or choice == "none"
        parallel = False if alone else parallel
        choice = _output_choice(choice, output_tool, alone=alone)
    if not tools:
        if choice not in (None, "none"):
            draft.note("tool_choice", "left out, there are no tools")
        return {}
    return {"tool_choice": choice, "parallel_tool_calls": parallel}


def _choice(choice: ToolChoice | None) -> str | Dict | None:
    if choice is None:
        return None
    if choice.type == "specific":
        return {"type": "function", "name": choice.specific_tool_name}
    return _TOOL_CHOICES[choice.type]


def _given_choice(given: Any) -> str | Dict:
    if isinstance(given, str) and given in _CHOICE_WORDS:
        return _CHOICE_WORDS[given]
    if isinstance(given, dict) and as_text(given.get("type")):  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        return cast("Dict", given)
    raise ConfigError(
        "options['tool_choice']: expected 'auto', 'none', 'required' or a dict with a type; or use "
        "AIModelCallConfig.tool_choice"
    )


# --- structured output


def _output_tool(draft: _Draft, taken: Sequence[str]) -> Dict | None:
    output = draft.config.output_config
    no_format = draft.refuses("text", "format") or "text" in draft.quirks.unsupported
    if output is None or (draft.settings.structured_output == "native" and not no_format):
        return None
    schema, strict = _output_schema(draft)
    return {
        "type": "function",
        "name": free_name(taken),
        "description": OUTPUT_TOOL_PURPOSE,
        "parameters": schema,
        "strict": strict,
    }


def _output_choice(choice: str | Dict | None, output_tool: str, *, alone: bool) -> str | Dict:
    if alone:
        return {"type": "function", "name": output_tool}
    return choice if isinstance(choice, dict) else "required"


def _output_schema(draft: _Draft) -> tuple[Dict, bool]:
    schema = draft.output_schema()
    if compiles(schema, OPENAI):
        return draft.strict("structured_output", schema, OPENAI), True
    draft.note("structured_output", "told, not enforced, for its schema cannot be made strict")
    return _of_object(schema), False


def _text(draft: _Draft, output_tool: str | None) -> Dict:
    fields: Dict = {}
    verbosity = draft.options.pop("verbosity", None)
    if verbosity is not None:
        fields["verbosity"] = verbosity
    output = draft.config.output_config
    if output is None or output_tool is not None:
        return fields
    schema, strict = _output_schema(draft)
    cls = output.get_model_class()
    name = call_token(cls.__name__ if cls else as_text(schema.get("title")))[:MAX_NAME]
    form: Dict = {"type": "json_schema", "name": name or STRUCTURED_OUTPUT_TOOL}
    return fields | {"format": {**form, "schema": schema, "strict": strict}}


# --- what does not go together


def _drop_what_is_refused(draft: _Draft, body: Dict) -> None:
    for name in draft.quirks.unsupported:
        if body.pop(name, None) is not None:
            draft.note(name, "left out, this API does not take it")
    draft.drop_unsupported(body)
    refused = draft.refuses("logprobs") or draft.refuses("top_logprobs")
    if refused and _drop_logprobs(body):
        draft.refused("logprobs")
    if draft.can_skip_reasoning and _effort_of(body) != "none":
        given = [name for name in _SAMPLING if body.pop(name, None) is not None]
        given += ["logprobs"] if _drop_logprobs(body) else []
        for name in given:
            draft.note(name, "left out, the model takes it only without reasoning")
    draft.drop_exclusive(body)
    _fit_stream_options(draft, body)


def _effort_of(body: Dict) -> Any:
    return body.get("reasoning", {}).get("effort")


def _drop_logprobs(body: Dict) -> bool:
    include = body.get("include", ())
    if LOGPROBS not in include:
        return False
    body["include"] = [name for name in include if name != LOGPROBS]
    if not body["include"]:
        del body["include"]
    return True


def _fit_stream_options(draft: _Draft, body: Dict) -> None:
    """Usage is always told; what else there is, is for streams."""
    options = body.pop("stream_options", None)
    if not isinstance(options, dict):
        return
    kept = {name: value for name, value in options.items() if name != "include_usage"}  # pyright: ignore[reportUnknownVariableType]
    if kept and draft.config.streaming:
        body["stream_options"] = kept
    elif kept:
        draft.note("stream_options", "left out, the answer is not streamed")
