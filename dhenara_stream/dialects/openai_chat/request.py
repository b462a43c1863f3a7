"""A call as Chat Completions takes it: ``POST /v1/chat/completions``.

What a model takes is data, in its ``ChatModelSettings``; what a server takes is data, in
``Quirks``; neither is named here. What would be refused is left out or changed, and
``WireRequest.adjustments`` says so; what cannot be meant is a ``ConfigError``. Beside body fields,
``unsupported_parameters`` may name ``messages.system`` (instructions become the user's words),
``thinking.disabled`` (the model cannot do without), ``reasoning_effort.with_tools`` (it does not
reason where it has tools) and ``assistant_prefill`` (a conversation that ends with text of the
assistant's).

- Reasoning is asked for by effort: ``medium`` where it is asked for without one, for some models
  do not reason by default; an effort alone asks for it, too. Where it is not asked for, models
  that know the effort ``none`` get it; they take sampling parameters only then.
- A forced tool is forced. A server that takes no names gets that tool alone; where tools cannot
  be forced while the model reasons, it does not reason.
- The limit on output is sent if it is asked for: the API's own default is the model's most, and
  what is sent counts against rate limits.
- Structured output is a response format, strict where the schema allows it, or the forced call of
  a tool (``output_tool``).
- ``options`` come last: they win over what the config says, and dicts are merged into dicts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from dhenara_stream.core.conversation import TextPart, Turn
from dhenara_stream.dialects.base import ChatRequest, WireRequest
from dhenara_stream.dialects.drafting import (
    OUTPUT_TOOL_PURPOSE,
    STRUCTURED_OUTPUT_TOOL,
    call_token,
    free_name,
    merged_body,
)
from dhenara_stream.dialects.schema import OPENAI, compiles, with_items
from dhenara_stream.dialects.values import Dict, as_count, as_dict, as_text
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.dhenara.request import SystemInstruction

from .draft import REASONING_FIELDS, ChatDraft
from .messages import MAX_NAME, Place, build_messages, system_content
from .quirks import PATH, Quirks
from .tools import (
    Choice,
    choice_on_wire,
    declared_tools,
    name_of,
    offered_tools,
    parallel_calls,
    tool_choice,
    web_search_fields,
)

__all__ = ["build_request"]

DEFAULT_EFFORT = "medium"
MAX_USER = 128

_SAMPLING = ("temperature", "top_p", "logprobs", "top_logprobs")


def build_request(
    request: ChatRequest, quirks: Quirks | None = None, path: str = PATH
) -> WireRequest:
    """The request that asks for this.

    Raises:
        ConfigError: If it cannot be asked for, naming the argument.
    """
    draft = ChatDraft(request, quirks or Quirks())
    tools, output_tool = _tools(draft)
    choice = tool_choice(draft, tools, output_tool)
    reasoning = _reasoning(draft, tools, choice)
    response_format, words = _response_format(draft, output_tool)
    fields: Dict = {
        "model": draft.model.model_name_with_version_suffix,
        "messages": _messages(draft, request, words, reasons=_is_on(reasoning)),
        draft.quirks.limit_field: _limit(draft, reasoning),
        "stream": draft.config.streaming or None,
        "stream_options": _stream_options(draft),
        "tools": offered_tools(draft, tools, choice),
        "tool_choice": choice_on_wire(draft, choice, reasons=_is_on(reasoning)),
        "parallel_tool_calls": parallel_calls(draft, tools, choice, output_tool),
        "response_format": response_format,
        **reasoning,
        **web_search_fields(draft),
        "stop": _stops(draft),
        draft.quirks.seed_field: _seed(draft),
        **_user(draft),
    }
    body = {name: value for name, value in fields.items() if value not in (None, [])}
    body = merged_body(body, draft.options)
    _drop_what_is_refused(draft, body)
    _fit_cache_marks(draft, body)
    return WireRequest(
        path=path,
        headers=draft.common_headers() | draft.headers,
        body=body,
        adjustments=draft.notes,
        output_tool=output_tool,
        choices=as_count(body.get("n")) or 1,
    )


# --- messages


def _messages(draft: ChatDraft, request: ChatRequest, words: str, *, reasons: bool) -> list[Dict]:
    quirks, turns = draft.quirks, request.turns
    system = system_content(request.system, words, quirks)
    messages: list[Dict] = []
    if system and draft.refuses("messages", "system"):
        turns = _told_by_the_user(request.system, words, turns)
        draft.note("instructions", "told by the user, the model takes no system message")
    elif system:
        messages.append({"role": quirks.system_role, "content": system})
    messages += build_messages(turns, Place(draft.model, quirks, reasons))
    _check_end(draft, messages[-1])
    return messages


def _told_by_the_user(
    instructions: Sequence[SystemInstruction], words: str, turns: Sequence[Turn]
) -> list[Turn]:
    parts = [TextPart(item.get_formatted_text(), item.cache_control) for item in instructions]
    return [Turn("user", [*parts, TextPart(words)]), *turns]


def _check_end(draft: ChatDraft, last: Dict) -> None:
    if last["role"] != "assistant":
        return
    if draft.quirks.prefill == "none" or draft.refuses("assistant_prefill"):
        raise ConfigError(
            f"messages: {draft.model.model_name} does not go on with the assistant's text here; "
            "the last message must be the user's"
        )
    if draft.quirks.prefill == "prefix":
        last["prefix"] = True


# --- limits, stops, seed, user, usage


def _limit(draft: ChatDraft, reasoning: Dict) -> int | None:
    asked = draft.config.max_output_tokens is not None or draft.quirks.always_limit
    has_budget = draft.config.reasoning and "max_tokens" in as_dict(reasoning.get("reasoning"))
    if not (asked or has_budget):
        return None
    return draft.output_limit(reasons=_is_on(reasoning))


def _stream_options(draft: ChatDraft) -> Dict | None:
    given = draft.options.pop("stream_options", None)
    if draft.config.streaming and draft.quirks.stream_options:
        return {"include_usage": True} | as_dict(given)
    if given:
        draft.note("stream_options", "left out, the answer is not streamed, or the API has none")
    return None


def _stops(draft: ChatDraft) -> list[str]:
    given = [text for name in ("stop", "stop_sequences") for text in draft.texts(name)]
    stops = [text for text in dict.fromkeys(given) if text]
    if len(stops) > draft.quirks.max_stops:
        raise ConfigError(f"options['stop']: the API takes {draft.quirks.max_stops} at most")
    return stops


def _seed(draft: ChatDraft) -> Any:
    seeds = [draft.options.pop(name, None) for name in ("seed", "random_seed")]
    return next((seed for seed in seeds if seed is not None), None)


def _user(draft: ChatDraft) -> Dict:
    user, field = draft.config.get_user(), draft.quirks.user_field
    if user is None:
        return {}
    if field is None:
        draft.left_out("metadata['user_id']")
        return {}
    if len(user) > MAX_USER:
        raise ConfigError(f"metadata['user_id']: longer than {MAX_USER} characters")
    return {field: user}


# --- tools, structured output


def _tools(draft: ChatDraft) -> tuple[list[Dict], str | None]:
    """The tools, and the name of the one that carries the structured output."""
    tools = declared_tools(draft)
    if _output_mode(draft, with_tools=bool(tools)) != "tool":
        return tools, None
    output = _output_tool(draft, [name_of(tool) for tool in tools])
    return [*tools, output], name_of(output)


def _output_mode(draft: ChatDraft, *, with_tools: bool) -> str | None:
    if draft.config.output_config is None:
        return None
    quirks = draft.quirks
    no_format = draft.refuses("response_format") or "response_format" in quirks.unsupported
    by_tool = (
        draft.settings.structured_output == "tool"
        or no_format
        or (with_tools and not quirks.format_with_tools)
    )
    mode = "tool" if by_tool else quirks.structured_output
    if mode != "tool" or (quirks.tools and not draft.refuses("tools")):
        return mode
    if no_format:
        declaration = "no 'response_format' in the unsupported parameters of model and server"
        raise draft.lacks("structured_output", "structured output", declaration)
    return "json_object"


def _output_schema(draft: ChatDraft) -> tuple[Dict, bool]:
    """The schema of the structured output, and whether it is strict."""
    schema = draft.output_schema()
    schema.setdefault("type", "object")
    if not draft.quirks.strict_schemas:
        return schema, False
    if compiles(schema, OPENAI):
        return draft.strict("structured_output", schema, OPENAI), True
    draft.note("structured_output", "told, not enforced, for its schema cannot be made strict")
    return with_items(schema), False


def _output_tool(draft: ChatDraft, taken: Sequence[str]) -> Dict:
    schema, strict = _output_schema(draft)
    function: Dict = {
        "name": free_name(taken),
        "description": OUTPUT_TOOL_PURPOSE,
        "parameters": schema,
    }
    return {"type": "function", "function": function | ({"strict": True} if strict else {})}


def _response_format(draft: ChatDraft, output_tool: str | None) -> tuple[Dict | None, str]:
    """The response format, and what has to be told in words."""
    output = draft.config.output_config
    if output is None or output_tool is not None:
        return None, ""
    schema, strict = _output_schema(draft)
    if _output_mode(draft, with_tools=False) == "json_object":
        draft.note("structured_output", "told in words, the API has no schemas")
        words = msgspec.json.encode(schema).decode()
        return {"type": "json_object"}, f"Answer with a JSON object of this JSON schema:\n{words}"
    cls = output.get_model_class()
    name = call_token(cls.__name__ if cls else as_text(schema.get("title")))[:MAX_NAME]
    form: Dict = {"name": name or STRUCTURED_OUTPUT_TOOL, "schema": schema}
    form |= {"strict": True} if strict else {}
    return {"type": "json_schema", "json_schema": form}, ""


# --- reasoning


def _reasoning(draft: ChatDraft, tools: list[Dict], choice: Choice | None) -> Dict:
    """The fields that ask for reasoning, or for none."""
    names = REASONING_FIELDS[draft.quirks.reasoning]
    given = {name: draft.options.pop(name) for name in names if name in draft.options}
    fields = merged_body(_wanted_reasoning(draft, given), given)
    if "thinking" in fields and not _is_on(fields):
        fields.pop("reasoning_effort", None)
    why = _why_no_reasoning(draft, tools, choice) if _is_on(fields) else None
    if why is None:
        return fields
    draft.note("reasoning", f"left out, {why}")
    return _no_reasoning(draft)


def _why_no_reasoning(draft: ChatDraft, tools: list[Dict], choice: Choice | None) -> str | None:
    forced = choice is not None and choice.forces
    if forced and not draft.quirks.forced_tools_while_reasoning:
        return "no tool can be forced while the model reasons"
    if tools and draft.refuses("reasoning_effort", "with_tools"):
        return "in this API the model does not reason where it has tools"
    return None


def _wanted_reasoning(draft: ChatDraft, given: Dict) -> Dict:
    config = draft.config
    wanted = config.reasoning or config.reasoning_effort is not None or _is_on(given)
    if _is_on(given):
        draft.need_reasoning(f"options[{next(iter(given))!r}]")
    if not draft.can_reason:
        if config.reasoning_effort is not None:
            draft.refused("reasoning_effort")
        return {}
    return _STYLES[draft.quirks.reasoning](draft) if wanted else _no_reasoning(draft)


def _no_reasoning(draft: ChatDraft) -> Dict:
    style = draft.quirks.reasoning
    if style == "thinking":
        always = draft.refuses("thinking", "disabled")
        return {"thinking": {"type": "enabled" if always else "disabled"}}
    if not draft.can_skip_reasoning:
        return {}
    return {"reasoning": {"effort": "none"}} if style == "object" else {"reasoning_effort": "none"}


def _no_budget(draft: ChatDraft) -> None:
    if draft.config.max_reasoning_tokens is not None:
        draft.note("max_reasoning_tokens", "left out, the API takes an effort")


def _by_effort(draft: ChatDraft) -> Dict:
    _no_budget(draft)
    effort = draft.effort(DEFAULT_EFFORT, common=True)
    return {"reasoning_effort": effort} if effort else {}


def _by_object(draft: ChatDraft) -> Dict:
    if draft.config.reasoning_effort is None:
        if draft.settings.reasoning_control != "token_budget":
            _no_budget(draft)
            return {"reasoning": {"enabled": True}}
        budget = draft.budget()
        return {"reasoning": {"max_tokens": budget}} if budget else {}
    _no_budget(draft)
    effort = draft.effort(common=True)
    return {"reasoning": {"effort": effort} if effort else {"enabled": True}}


def _by_thinking(draft: ChatDraft) -> Dict:
    _no_budget(draft)
    effort = draft.effort()
    return {"thinking": {"type": "enabled"}} | ({"reasoning_effort": effort} if effort else {})


_STYLES = {"effort": _by_effort, "object": _by_object, "thinking": _by_thinking}


def _is_on(fields: Dict) -> bool:
    """Whether the fields ask for reasoning."""
    if "thinking" in fields:
        return as_dict(fields["thinking"]).get("type") != "disabled"
    if "reasoning" in fields:
        asked = as_dict(fields["reasoning"])
        return asked.get("enabled") is not False and asked.get("effort") != "none"
    return fields.get("reasoning_effort") not in (None, "none")


# --- what does not go together


def _drop_what_is_refused(draft: ChatDraft, body: Dict) -> None:
    for name in draft.quirks.unsupported:
        if body.pop(name, None) is not None:
            draft.left_out(name)
    draft.drop_unsupported(body)
    draft.drop_exclusive(body)
    if not body.get("tools"):
        for name in ("tool_choice", "parallel_tool_calls"):
            body.pop(name, None)
    if draft.quirks.none_effort and _is_on(body):
        for name in _SAMPLING:
            if body.pop(name, None) is not None:
                draft.note(name, "left out, the model takes it only without reasoning")


def _fit_cache_marks(draft: ChatDraft, body: Dict) -> None:
    if not draft.quirks.cache_marks:
        return
    contents: list[Any] = [message.get("content") for message in body["messages"]]
    parts = (
        part
        for content in contents
        if isinstance(content, list)
        for part in cast("list[Dict]", content)
    )
    draft.fit_cache_marks([*body.get("tools", []), *parts, body])
