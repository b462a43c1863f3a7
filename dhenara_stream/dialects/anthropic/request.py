"""A call as the Messages API takes it: ``POST /v1/messages``.

What a model takes is data, in its ``ChatModelSettings``; no model is named here. What it would
refuse is left out or changed, and ``WireRequest.adjustments`` says so; what cannot be meant is a
``ConfigError``. Beside body fields, ``unsupported_parameters`` may name one form of a field
(``thinking.enabled``, ``tool_choice.any``, ``context_management.compact_20260112``) and
``assistant_prefill``: a conversation that ends with text of the assistant's.

- Thinking, for models that take a budget (``enabled``): the budget is at least 1024 tokens and
  leaves a quarter of ``max_tokens`` for the answer; where both is not possible, there is no
  thinking. It is off, too, beside a forced tool choice, within a turn that began without it, and
  where the model is to go on with the assistant's text.
- Thinking, for models that take an effort (``adaptive``): the reasoning is asked for in readable
  form. Without ``reasoning`` it is ``disabled`` in words, for some models think by default.
- ``options`` come last: they win over what the config says, and dicts are merged into dicts.
- Structured output is a schema field, or the forced call of a tool (``output_tool``): for models
  without that field, and for schemas that it does not take: recursive ones, dicts of any keys.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from dhenara_stream.dialects.base import ChatRequest, WireRequest
from dhenara_stream.dialects.drafting import (
    HEADER_NAME,
    MIN_BUDGET,
    OUTPUT_TOOL_PURPOSE,
    STRUCTURED_OUTPUT_TOOL,
    Draft,
    cache_mark,
    check_names,
    check_number,
    free_name,
    merged_body,
    plain_copy,
)
from dhenara_stream.dialects.schema import ANTHROPIC, compiles
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.dhenara.request import (
    AIModelContextPolicy,
    SystemInstruction,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)
from dhenara_stream.types.shared.secret import Secret

from .messages import build_messages, is_prefill, lacks_thinking, without_thinking

__all__ = ["STRUCTURED_OUTPUT_TOOL", "build_request"]

Dict = dict[str, Any]

API_VERSION = "2023-06-01"
WEB_SEARCH = "web_search_20250305"
CLEAR_TOOL_USES = "clear_tool_uses_20250919"
COMPACT = "compact_20260112"

MIN_COMPACTION_TRIGGER = 50_000
MIN_TOP_P_THINKING = 0.95

_RESERVED = {
    "model": "the endpoint's ai_model",
    "messages": "messages or prompt",
    "system": "instructions",
    "stream": "AIModelCallConfig.streaming",
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens", "max_output_tokens"),
        "AIModelCallConfig.max_output_tokens",
    ),
}
_FOREIGN = frozenset(
    (
        *("seed", "n", "best_of", "echo", "suffix", "logprobs", "top_logprobs", "logit_bias"),
        *("frequency_penalty", "presence_penalty", "repetition_penalty", "min_p", "top_a"),
        *("response_format", "response_mime_type", "response_schema", "modalities", "audio"),
        *("prediction", "verbosity", "reasoning", "reasoning_effort", "stream_options", "store"),
        *("include", "truncation", "previous_response_id", "max_tool_calls", "prompt_cache_key"),
        *("candidate_count", "safety_settings", "safety_identifier", "generation_config"),
    )
)
_SAMPLING = {"temperature": (0, 1), "top_p": (0, 1), "top_k": (0, math.inf)}
_TOOL_CHOICES = {"zero_or_more": "auto", "one_or_more": "any", "specific": "tool", None: "none"}
_CHOICE_WORDS = {"auto": "auto", "none": "none", "any": "any", "required": "any"}

_BETAS = {"clear_": "context-management-2025-06-27", "compact_": "compact-2026-01-12"}
_BLOCK_BETAS = {"compaction": _BETAS["compact_"]}


def build_request(request: ChatRequest) -> WireRequest:
    """The request that asks for this.

    Raises:
        ConfigError: If it cannot be asked for, naming the argument.
    """
    draft = _Draft(request)
    tools, output_tool = _tools(draft)
    choice = _tool_choice(draft, tools, output_tool)
    thinking = _thinking(draft, choice)
    _leave_thinking_out_of_last_turn(draft, thinking)
    fields: Dict = {
        "model": draft.model.model_name_with_version_suffix,
        "max_tokens": draft.output_limit(reasons=draft.thinks(thinking)),
        "stream": draft.config.streaming or None,
        "system": _system(request.system),
        "messages": draft.messages,
        "tools": tools,
        "tool_choice": choice,
        "thinking": thinking,
        "output_config": _output_config(draft, output_tool),
        "stop_sequences": _stop_sequences(draft),
        "metadata": _metadata(draft),
        "context_management": _context_management(draft, thinking),
    }
    body = {name: value for name, value in fields.items() if value}
    body = merged_body(body, draft.options)
    _drop_what_is_refused(draft, body, thinks=draft.thinks(body.get("thinking")))
    draft.fit_cache_marks(_bearers_of_cache_marks(body))
    return WireRequest(
        path="/v1/messages",
        headers=_headers(draft, body),
        body=body,
        adjustments=draft.notes,
        output_tool=output_tool,
    )


class _Draft(Draft):
    """A draft of a request to the Messages API."""

    def __init__(self, request: ChatRequest) -> None:
        super().__init__(request, _RESERVED)
        betas = self.headers.pop("anthropic-beta", Secret(""))
        self.betas = _beta_names(self.options.pop("betas", None)) + _beta_names(betas.reveal())
        self.leave_out_foreign(_FOREIGN, "the Messages API")
        for name, (least, most) in _SAMPLING.items():
            check_number(name, self.options.get(name), least, most)
        self.messages = build_messages(request.turns, self.model)
        self.prefill = is_prefill(self.messages)
        if self.prefill and self.refuses("assistant_prefill"):
            raise ConfigError(
                f"messages: {self.model.model_name} does not go on with the assistant's text; "
                "the last message must be the user's"
            )

    def thinks(self, thinking: Dict | None) -> bool:
        """Whether the model thinks in this call; some cannot do without."""
        asked = thinking is not None and thinking["type"] != "disabled"
        return asked or (self.settings.supports_reasoning and self.refuses("thinking", "disabled"))


# --- options and headers


def _beta_names(given: Any) -> list[str]:
    names: Any = given or []
    names = names.split(",") if isinstance(names, str) else names
    if not isinstance(names, Sequence):
        raise ConfigError("options['betas']: expected a list of names")
    for name in names:  # pyright: ignore[reportUnknownVariableType]
        if not isinstance(name, str) or not HEADER_NAME.fullmatch(name.strip()):
            raise ConfigError(f"options['betas']: {name!r} is no name of a beta feature")
    return [name.strip() for name in names]  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]


def _headers(draft: _Draft, body: Dict) -> dict[str, str]:
    edits = body.get("context_management", {}).get("edits", ())
    blocks = [block for message in body["messages"] for block in message["content"]]
    betas = [
        *draft.betas,
        *(beta for edit in edits for kind, beta in _BETAS.items() if _kind(edit).startswith(kind)),
        *(_BLOCK_BETAS[block["type"]] for block in blocks if block["type"] in _BLOCK_BETAS),
    ]
    headers = {"anthropic-version": API_VERSION, **draft.common_headers()}
    if betas:
        headers["anthropic-beta"] = ",".join(dict.fromkeys(betas))
    return headers | draft.headers


def _kind(value: Any) -> str:
    kind: Any = value.get("type") if isinstance(value, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return kind if isinstance(kind, str) else ""


# --- system, metadata, stop sequences, context


def _system(instructions: Sequence[SystemInstruction]) -> str | list[Dict]:
    texts = [(item.get_formatted_text(), item.cache_control) for item in instructions]
    texts = [(text, mark) for text, mark in texts if text.strip()]
    if any(mark for _, mark in texts):
        return [{"type": "text", "text": text} | cache_mark(mark) for text, mark in texts]
    return " ".join(text for text, _ in texts)


def _metadata(draft: _Draft) -> Dict | None:
    user = draft.options.pop("user", None)
    user = draft.config.get_user() or user
    return {"user_id": str(user)} if user else None


def _stop_sequences(draft: _Draft) -> list[str]:
    given = [text for name in ("stop", "stop_sequences") for text in draft.texts(name)]
    kept = [text for text in dict.fromkeys(given) if text.strip()]
    if len(kept) < len(set(given)):
        draft.note("stop_sequences", "white space alone left out, the API does not take it")
    return kept


def _context_management(draft: _Draft, thinking: Dict | None) -> Dict | None:
    policy = draft.config.context_policy
    edits: list[Dict] = []
    if policy is not None and policy.mode in _POLICIES:
        edits = plain_copy("context_policy.edits", policy.edits or [])
        _POLICIES[policy.mode](draft, policy, edits)
    kept = [edit for edit in edits if not draft.refuses("context_management", _kind(edit))]
    for edit in edits:
        if edit not in kept:
            draft.refused(f"context_policy ({_kind(edit)})")
    if not draft.thinks(thinking) and any(map(_clears_thinking, kept)):
        kept = [edit for edit in kept if not _clears_thinking(edit)]
        draft.note("context_policy", "thinking is not cleared, for this call has none")
    # The API wants that kind of edit first.
    return {"edits": sorted(kept, key=lambda edit: not _clears_thinking(edit))} if kept else None


def _clears_thinking(edit: Dict) -> bool:
    return _kind(edit).startswith("clear_thinking_")


def _trigger(tokens: int | None) -> Dict:
    return {"trigger": {"type": "input_tokens", "value": tokens}} if tokens else {}


def _editing(draft: _Draft, policy: AIModelContextPolicy, edits: list[Dict]) -> None:
    if not edits:
        edits.append({"type": CLEAR_TOOL_USES} | _trigger(policy.compact_threshold_tokens))


def _compaction(draft: _Draft, policy: AIModelContextPolicy, edits: list[Dict]) -> None:
    if any(_kind(edit).startswith("compact_") for edit in edits):
        return
    tokens = policy.compact_threshold_tokens
    if tokens is not None and tokens < MIN_COMPACTION_TRIGGER:
        tokens = MIN_COMPACTION_TRIGGER
        draft.note("context_policy.compact_threshold_tokens", f"raised to {tokens}, the least")
    more: Dict = {
        "pause_after_compaction": policy.pause_after_compaction,
        "instructions": policy.instructions,
    }
    given = {name: value for name, value in more.items() if value is not None}
    edits.append({"type": COMPACT} | _trigger(tokens) | given)


_POLICIES = {"provider_context_editing": _editing, "provider_compaction": _compaction}


# --- tools


def _tools(draft: _Draft) -> tuple[list[Dict], str | None]:
    """The tools, and the name of the one that carries the structured output."""
    raw = draft.raw_tools()
    tools: list[Dict] = [
        *(_tool(draft, tool) for tool in draft.config.tools or []),
        *(_web_search(draft, tool) for tool in draft.config.hosted_tools or []),
        *raw,
    ]
    names = [tool["name"] for tool in tools if "name" in tool]
    check_names(names)
    output = _output_tool(draft, names)
    if output is None:
        return tools, None
    return [*tools, output], output["name"]


def _tool(draft: _Draft, tool: ToolDefinition) -> Dict:
    function = tool.function
    block: Dict = {"name": function.name}
    if function.description:
        block["description"] = function.description
    schema = plain_copy(f"tool {function.name!r}", function.parameters.to_schema())
    if tool.strict and (draft.settings.structured_output == "tool" or not compiles(schema)):
        draft.note(f"tool {function.name!r}", "strict left out, model or schema does not allow it")
    elif tool.strict:
        block["strict"] = True
        schema = draft.strict(f"tool {function.name!r}", schema, ANTHROPIC)
    return block | {"input_schema": schema} | cache_mark(tool.cache_control)


def _web_search(draft: _Draft, tool: WebSearchHostedTool) -> Dict:
    block: Dict = {"type": WEB_SEARCH, "name": tool.tool}
    block |= {
        name: value
        for name in ("max_uses", "allowed_domains", "blocked_domains")
        if (value := getattr(tool, name))
    }
    if tool.user_location is not None:
        block["user_location"] = tool.user_location.model_dump()
    for name in ("search_context_size", "external_web_access", "return_token_budget"):
        if getattr(tool, name) is not None:
            draft.note(f"hosted_tools: {name}", "left out, this web search has no such option")
    return block


def _tool_choice(draft: _Draft, tools: list[Dict], output_tool: str | None) -> Dict | None:
    choice = _wanted_choice(draft)
    if output_tool is not None:
        choice = _output_choice(choice, output_tool, alone=len(tools) == 1)
    if choice is None:
        return None
    if not tools:
        if choice["type"] != "none":
            draft.note("tool_choice", "left out, there are no tools")
        return None
    if draft.refuses("tool_choice", choice["type"]):
        draft.refused(f"tool_choice ({choice['type']})")
        return None
    return {"type": "none"} if choice["type"] == "none" else choice


def _wanted_choice(draft: _Draft) -> Dict | None:
    given = draft.options.pop("tool_choice", None)
    choice = _choice(draft.config.tool_choice) if given is None else _given_choice(given)
    if draft.options.pop("parallel_tool_calls", True):
        return choice
    return {"type": "auto"} | (choice or {}) | {"disable_parallel_tool_use": True}


def _choice(choice: ToolChoice | None) -> Dict | None:
    if choice is None:
        return None
    block: Dict = {"type": _TOOL_CHOICES[choice.type]}
    if choice.type == "specific":
        block["name"] = choice.specific_tool_name
    return block | ({} if choice.parallel else {"disable_parallel_tool_use": True})


def _given_choice(given: Any) -> Dict:
    if isinstance(given, str) and given in _CHOICE_WORDS:
        return {"type": _CHOICE_WORDS[given]}
    if _kind(given):
        return cast("Dict", given)
    raise ConfigError(
        "options['tool_choice']: expected a dict with a type, e.g. {'type': 'auto'}; or use "
        "AIModelCallConfig.tool_choice"
    )


# --- structured output


def _output_tool(draft: _Draft, taken: Sequence[str]) -> Dict | None:
    output = draft.config.output_config
    if output is None:
        return None
    schema = draft.output_schema()
    if draft.settings.structured_output == "native" and not draft.refuses("output_config"):
        if compiles(schema):
            return None
        draft.note("structured_output", "by a tool call, for its schema is recursive or has dicts")
    return {
        "name": free_name(taken),
        "description": OUTPUT_TOOL_PURPOSE,
        "input_schema": {"type": "object"} | schema,
    }


def _output_choice(choice: Dict | None, output_tool: str, *, alone: bool) -> Dict:
    kind = choice["type"] if choice else "auto"
    if choice is not None and kind == "tool":
        return choice
    if alone or kind == "none":
        return {"type": "tool", "name": output_tool, "disable_parallel_tool_use": True}
    return (choice or {}) | {"type": "any"}


def _output_config(draft: _Draft, output_tool: str | None) -> Dict:
    effort = draft.effort()
    fields: Dict = {"effort": effort} if effort else {}
    output = draft.config.output_config
    if output is None or output_tool is not None:
        return fields
    if draft.prefill:
        raise ConfigError(
            "structured_output: cannot be had where the model is to go on with the assistant's "
            "text; the last message must be the user's"
        )
    strict = draft.strict("structured_output", draft.output_schema(), ANTHROPIC)
    return fields | {"format": {"type": "json_schema", "schema": strict}}


# --- reasoning


def _thinking(draft: _Draft, choice: Dict | None) -> Dict | None:
    given = draft.options.pop("thinking", None)
    wanted = _configured_thinking(draft) if given is None else _given_thinking(draft, given)
    if wanted is None:
        return None
    if draft.refuses("thinking", wanted["type"]):
        draft.refused("thinking")
        return None
    why = _why_no_thinking(draft, wanted["type"], choice)
    if why is None:
        return wanted
    draft.note("thinking", f"left out, {why}")
    return _no_thinking(draft)


def _no_thinking(draft: _Draft) -> Dict | None:
    in_words = draft.settings.reasoning_control == "effort"
    return {"type": "disabled"} if in_words and not draft.refuses("thinking", "disabled") else None


def _configured_thinking(draft: _Draft) -> Dict | None:
    control = draft.settings.reasoning_control
    if not draft.settings.supports_reasoning or control == "none":
        return None
    if not draft.config.reasoning:
        return _no_thinking(draft)
    if control == "effort":
        return {"type": "adaptive", "display": "summarized"}
    budget = draft.budget()
    return {"type": "enabled", "budget_tokens": budget} if budget else None


def _given_thinking(draft: _Draft, given: Any) -> Dict:
    if not _kind(given):
        raise ConfigError("options['thinking']: expected a dict with a type")
    thinking: Dict = dict(given)
    budget = thinking.get("budget_tokens")
    if thinking["type"] != "enabled":
        return thinking
    # A beta lets the budget of several rounds of thinking exceed max_tokens.
    most = draft.config.get_max_output_tokens(draft.model)[0] if not draft.betas else math.inf
    if not isinstance(budget, int) or not MIN_BUDGET <= budget < most:
        raise ConfigError(
            f"options['thinking']: budget_tokens must be at least {MIN_BUDGET} and less than "
            f"max_output_tokens ({most})"
        )
    return thinking


def _why_no_thinking(draft: _Draft, kind: str, choice: Dict | None) -> str | None:
    if kind == "disabled":
        return None
    if draft.prefill:
        return "the model is to go on with the assistant's text"
    if kind != "enabled":
        return None
    if choice is not None and choice["type"] in ("any", "tool"):
        return "a forced tool choice excludes it"
    if lacks_thinking(draft.messages):
        return "the turn with tool calls that is under way began without it"
    return None


def _leave_thinking_out_of_last_turn(draft: _Draft, thinking: Dict | None) -> None:
    # An assistant's turn in the last place may hold thinking only if the model thinks now.
    last = draft.messages[-1]
    if last["role"] == "assistant" and not draft.thinks(thinking):
        last["content"] = without_thinking(last["content"])


# --- what does not go together


def _drop_what_is_refused(draft: _Draft, body: Dict, *, thinks: bool) -> None:
    draft.drop_unsupported(body)
    if thinks:
        _drop_what_thinking_excludes(draft, body)
    draft.drop_exclusive(body)


def _drop_what_thinking_excludes(draft: _Draft, body: Dict) -> None:
    excluded = {
        "temperature": body.get("temperature", 1) != 1,
        "top_k": "top_k" in body,
        "top_p": body.get("top_p", 1) < MIN_TOP_P_THINKING,
    }
    for name, out in excluded.items():
        if out:
            del body[name]
            draft.note(name, "left out, thinking excludes it")


def _bearers_of_cache_marks(body: Dict) -> list[Dict]:
    system = body.get("system")
    return [
        *body.get("tools", []),
        *(system if isinstance(system, list) else []),
        *(block for message in body["messages"] for block in message["content"]),
        body,
    ]
