"""A call as the Gemini API takes it: ``POST /v1beta/models/{model}:streamGenerateContent``.

What a model takes is data, in its ``ChatModelSettings``, and what a place takes is, in
:class:`Quirks`; neither is named here. What would be refused is left out or changed, and
``WireRequest.adjustments`` says so; what cannot be meant is a ``ConfigError``. Names in
``unsupported_parameters`` and ``exclusive_parameters`` are those of fields of the body or of its
``generationConfig``. Beside them stand one form of a field (``thinkingBudget.0``,
``toolConfig.includeServerSideToolInvocations``, ``functionCallingConfig.VALIDATED``),
``googleSearch``, and ``assistant_prefill``: a conversation that ends with the assistant's turn.

- Thinking, for models that take an effort: it is the ``thinkingLevel``. Without reasoning it is
  the lowest, for these models always think. An effort alone means reasoning, but shows none of it.
- Thinking, for models that take a budget: 0 without reasoning, the least there is where it cannot
  be off. The model decides if nothing else is said, but the answer keeps a quarter of
  ``max_output_tokens``, unless ``max_reasoning_tokens`` leaves it less. An effort counts as the
  budget that Google's OpenAI-compatible API makes of it.
- Tools of the API's own go together with functions only if the model and the place tell what those
  tools did (``includeServerSideToolInvocations``); else that is a ``ConfigError``.
- A forced tool choice is ``ANY``. Strict tools are ``VALIDATED``, where none is forced.
- Structured output is a schema field, or the forced call of a function (``output_tool``): for
  models that have no such field, or none beside functions.
- ``options`` in snake case are respelled, those of ``generationConfig`` moved there. They come
  last: they win over what the config says, and dicts are merged into dicts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import quote

import msgspec

from dhenara_stream.dialects.base import ChatRequest, WireRequest
from dhenara_stream.dialects.drafting import (
    ANSWER_SHARE,
    OUTPUT_TOOL_PURPOSE,
    Draft,
    check_names,
    check_number,
    check_output_type,
    free_name,
    merged_body,
    plain_copy,
)
from dhenara_stream.dialects.values import Dict, as_count, as_dict, as_list
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.dhenara.request import (
    SystemInstruction,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)

from .messages import build_contents, is_prefill
from .quirks import Quirks
from .schemas import gemini_schema, names_nothing

__all__ = ["build_request"]

MAX_STOPS = 5
DYNAMIC = -1  # the budget of a model that decides for itself
DYNAMIC_MOST = 8192  # and how much it then takes at most
MIN_BUDGET = "min_reasoning_tokens"
"""In a model's metadata: the smallest budget it takes, beside 0."""
MAX_BUDGET = "max_reasoning_tokens"
"""In a model's metadata: the largest budget it takes, where that is less than its settings say."""


_RESERVED = {
    "model": "the endpoint's ai_model",
    "stream": "AIModelCallConfig.streaming",
    **dict.fromkeys(("contents", "messages"), "messages or prompt"),
    **dict.fromkeys(
        ("instructions", "system", "system_instruction", "systemInstruction"), "instructions"
    ),
    **dict.fromkeys(
        ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxOutputTokens"),
        "AIModelCallConfig.max_output_tokens",
    ),
}
_FOREIGN = frozenset(
    (
        *("best_of", "echo", "suffix", "logit_bias", "repetition_penalty", "min_p", "top_a"),
        *("response_format", "modalities", "audio", "prediction", "verbosity", "reasoning"),
        *("reasoning_effort", "stream_options", "include", "truncation", "previous_response_id"),
        *("max_tool_calls", "prompt_cache_key", "safety_identifier", "thinking", "betas"),
        *("output_config", "cache_control", "container", "context_management", "metadata"),
        *("web_search_options", "functions", "function_call", "background", "conversation"),
    )
)
_GENERATION = frozenset(
    (
        *("temperature", "topP", "topK", "candidateCount", "seed", "stopSequences", "logprobs"),
        *("responseLogprobs", "presencePenalty", "frequencyPenalty", "responseMimeType"),
        *("responseSchema", "responseJsonSchema", "responseFormat", "responseModalities"),
        *("mediaResolution", "speechConfig", "imageConfig", "thinkingConfig", "routingConfig"),
        *("modelSelectionConfig", "audioTimestamp", "enableAffectiveDialog", "modelConfig"),
        *("enableEnhancedCivicAnswers", "audioTranscriptionConfig", "translationConfig"),
    )
)
_RANGES = {
    "temperature": (0, 2),
    "topP": (0, 1),
    "topK": (1, math.inf),
    "candidateCount": (1, 8),
    "presencePenalty": (-2, 2),
    "frequencyPenalty": (-2, 2),
}
# Names of other APIs for what this one has, too.
_ALIASES = {"n": "candidateCount", "topLogprobs": "logprobs"}
# What is in these has names of its own.
_VERBATIM = frozenset(
    (
        *("responseSchema", "responseJsonSchema", "schema", "parameters", "parametersJsonSchema"),
        *("response", "labels", "args", "partMetadata"),
    )
)
_MODES = {"zero_or_more": "AUTO", "one_or_more": "ANY", "specific": "ANY", None: "NONE"}
_CHOICE_WORDS = {"auto": "AUTO", "none": "NONE", "any": "ANY", "required": "ANY"}
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24_576}
_LABEL = re.compile(r"[a-z0-9_-]{1,63}")


def build_request(request: ChatRequest, quirks: Quirks | None = None) -> WireRequest:
    """The request that asks for this.

    Raises:
        ConfigError: If it cannot be asked for, naming the argument.
    """
    draft = _Draft(request, quirks or Quirks())
    tools = _Tools(draft)
    generation: Dict = {
        "maxOutputTokens": None if draft.config.max_output_tokens is None else draft.output_limit(),
        "stopSequences": _stop_sequences(draft),
        "thinkingConfig": _thinking(draft),
        **_output(draft, tools.output_tool),
    }
    fields: Dict = {
        "contents": draft.contents,
        "systemInstruction": _system(request.system),
        "tools": tools.declared(),
        "toolConfig": tools.config(draft),
        "labels": _labels(draft),
    }
    generation = {name: value for name, value in generation.items() if value}
    body = {name: value for name, value in fields.items() if value}
    body = _whole(draft, body, merged_body(generation, draft.generation))
    return WireRequest(
        path=_path(draft),
        headers=draft.common_headers() | draft.headers,
        body=body,
        adjustments=draft.notes,
        output_tool=tools.output_tool,
        choices=as_count(as_dict(body.get("generationConfig")).get("candidateCount")) or 1,
    )


class _Draft(Draft):
    """A draft of a request to the Gemini API."""

    def __init__(self, request: ChatRequest, quirks: Quirks) -> None:
        super().__init__(request, _RESERVED)
        self.quirks = quirks
        settings = self.settings
        self.settings = msgspec.structs.replace(
            settings,
            unsupported_parameters=tuple(map(_camel, settings.unsupported_parameters)),
            exclusive_parameters=tuple(
                tuple(map(_camel, group)) for group in settings.exclusive_parameters
            ),
        )
        self.leave_out_foreign(_FOREIGN, "the Gemini API")
        self._given = {_camel(name): name for name in self.options}
        self.options = _respelled(self.options)
        self.generation = self._generation_options()
        self.contents = build_contents(
            request.turns, request.endpoint, server_side_tools=quirks.server_side_tools
        )
        if is_prefill(self.contents) and self.refuses("assistantPrefill"):
            raise ConfigError(
                f"messages: {self.model.model_name} does not go on with the assistant's text; "
                "the last message must be the user's"
            )
        policy = self.config.context_policy
        if policy is not None and policy.mode.startswith("provider_"):
            self.note("context_policy", f"left out, the API has no {policy.mode}")

    def _generation_options(self) -> Dict:
        """Take the options that belong into ``generationConfig``; some have a place of theirs."""
        taken = self.dict_option("generationConfig") or {}
        if "maxOutputTokens" in taken:
            raise ConfigError(
                "options['generation_config']: give maxOutputTokens as "
                "AIModelCallConfig.max_output_tokens"
            )
        for name in [name for name in self.options if name in _GENERATION]:
            taken[name] = self.options.pop(name)
        if isinstance(taken.get("logprobs"), bool):  # as OpenAI has it
            taken.setdefault("responseLogprobs", taken.pop("logprobs"))
        for name, own in _ALIASES.items():
            if name in self.options:
                taken.setdefault(own, self.options.pop(name))
        if "logprobs" in taken:
            taken.setdefault("responseLogprobs", True)
        for name, (least, most) in _RANGES.items():
            check_number(self._given.get(name, name), taken.get(name), least, most)
        for name in ("stopSequences", "thinkingConfig"):
            if name in taken:
                self.options[name] = taken.pop(name)
        return taken

    def dict_option(self, name: str) -> Dict | None:
        """Take an option that is a dict.

        Raises:
            ConfigError: If it is none.
        """
        given: Any = self.options.pop(name, None)
        if given is not None and not isinstance(given, dict):
            raise ConfigError(f"options[{self._given.get(name, name)!r}]: expected a dict")
        return cast("Dict | None", given)

    def excludes(self, *names: str) -> bool:
        """Whether the model takes only one of these fields."""
        return any(set(names) <= set(group) for group in self.settings.exclusive_parameters)

    def least_budget(self) -> int:
        """The smallest budget for thinking that the model takes, beside 0."""
        least: int = self._told(MIN_BUDGET, 1)
        return least

    def most_budget(self) -> int | None:
        """The largest budget for thinking that the model takes."""
        most: int | None = self._told(MAX_BUDGET, self.settings.max_reasoning_tokens)
        return most

    def _told(self, name: str, default: Any) -> Any:
        models = [self.model, getattr(self.model, "foundation_model", None) or self.model]
        return next((model.metadata[name] for model in models if name in model.metadata), default)


def _camel(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])_([a-z0-9])", lambda found: found[1].upper(), name)


def _respelled(value: Any) -> Any:
    """The value with the names of fields as the API writes them; it reads both."""
    if isinstance(value, list):
        return [_respelled(item) for item in as_list(value)]
    if not isinstance(value, dict):
        return value
    names = {_camel(name): item for name, item in as_dict(value).items()}  # pyright: ignore[reportUnknownArgumentType]
    return {name: item if name in _VERBATIM else _respelled(item) for name, item in names.items()}


def _path(draft: _Draft) -> str:
    quirks = draft.quirks
    version = draft.config.api_version_override or quirks.version
    if version not in quirks.versions:
        raise ConfigError(
            f"AIModelCallConfig.api_version_override: {version!r} is not one of "
            f"{', '.join(quirks.versions)}"
        )
    method = "streamGenerateContent?alt=sse" if draft.config.streaming else "generateContent"
    name = quote(draft.model.model_name_with_version_suffix.removeprefix("models/"), safe="@")
    return f"/{version}/{quirks.models}{name}:{method}"


# --- instructions, limits, labels


def _system(instructions: Sequence[SystemInstruction]) -> Dict | None:
    texts = (item.get_formatted_text() for item in instructions)
    text = " ".join(text for text in texts if text.strip())
    return {"parts": [{"text": text}]} if text else None


def _stop_sequences(draft: _Draft) -> list[str]:
    given = [text for name in ("stop", "stopSequences") for text in draft.texts(name)]
    kept = [text for text in dict.fromkeys(given) if text]
    if len(kept) > MAX_STOPS:
        draft.note("stop_sequences", f"only the first {MAX_STOPS} kept, no more are taken")
    return kept[:MAX_STOPS]


def _labels(draft: _Draft) -> Dict | None:
    given = draft.options.pop("user", None)
    user = draft.config.get_user() or (str(given) if given else None)
    name = draft.quirks.user_label
    if user is None:
        return None
    if name is None:
        draft.note("user", "left out, the API has no field for it")
        return None
    if not _LABEL.fullmatch(user):
        draft.note("user", "left out, a label takes up to 63 of a-z, 0-9, _ and - only")
        return None
    return {name: user}


# --- thinking


def _thinking(draft: _Draft) -> Dict | None:
    given = draft.dict_option("thinkingConfig")
    settings, config = draft.settings, draft.config
    control = settings.reasoning_control if settings.supports_reasoning else "none"
    if given and given.get("thinkingBudget") != 0 and any(given.values()):
        draft.need_reasoning("options['thinking_config']")
    if control == "none" or draft.refuses("thinkingConfig"):
        if given is not None:
            draft.refused("thinkingConfig")
        if config.reasoning_effort is not None:
            draft.refused("reasoning_effort")
        return None
    if given is not None:
        return _given_thinking(draft, given)
    thinking = _level(draft) if control == "effort" else {"thinkingBudget": _budget(draft)}
    shown = config.reasoning and thinking.get("thinkingBudget") != 0
    return {"includeThoughts": True, **thinking} if shown else thinking


def _given_thinking(draft: _Draft, thinking: Dict) -> Dict:
    if "thinkingLevel" in thinking and "thinkingBudget" in thinking:
        raise ConfigError("options['thinking_config']: give a level or a budget, not both")
    if draft.settings.reasoning_control != "effort" and "thinkingLevel" in thinking:
        del thinking["thinkingLevel"]
        draft.refused("thinkingLevel")
    return thinking


def _level(draft: _Draft) -> Dict:
    if draft.config.max_reasoning_tokens is not None:
        draft.note("max_reasoning_tokens", "left out, the model takes an effort")
    level = draft.effort(None if draft.config.reasoning else "minimal")
    return {"thinkingLevel": level.upper()} if level else {}


def _budget(draft: _Draft) -> int:
    config, least = draft.config, draft.least_budget()
    off = least if draft.refuses("thinkingBudget", "0") else 0
    if not config.reasoning and config.reasoning_effort is None:
        return off
    wanted = config.max_reasoning_tokens or _effort_budget(draft)
    room = _room(draft)
    if wanted is None and room >= DYNAMIC_MOST:
        return DYNAMIC
    if room < least:
        draft.note(
            "reasoning",
            f"{off or 'no'} tokens, max_output_tokens has no room for {least} and the answer",
        )
        return off
    most = min(room, draft.most_budget() or math.inf)
    budget = int(max(least, min(wanted or most, most)))
    if config.max_reasoning_tokens not in (None, budget):
        draft.note("max_reasoning_tokens", f"{budget}, for the model or max_output_tokens")
    return budget


def _room(draft: _Draft) -> float:
    """How many tokens may go into thinking, for what the answer needs."""
    if draft.config.max_output_tokens is None:
        return math.inf
    limit, _ = draft.config.get_max_output_tokens(draft.model)
    return limit if draft.config.max_reasoning_tokens else limit - limit // ANSWER_SHARE


def _effort_budget(draft: _Draft) -> int | None:
    effort = draft.config.reasoning_effort
    if effort is None:
        return None
    budget = _BUDGETS.get(effort) or draft.most_budget()
    draft.note("reasoning_effort", "as a budget of tokens, for the model takes no effort")
    return budget


# --- tools


class _Tools:
    """The functions, the tools of the API's own, and how they are called.

    Attributes:
        output_tool: The function that carries the structured output, if one does.
    """

    def __init__(self, draft: _Draft) -> None:
        self._calling = _wanted_calling(draft)
        raw = [tool for tool in draft.raw_tools() if _is_own_tool(draft, tool)]
        self._strict = any(tool.strict for tool in draft.config.tools or [])
        self._functions: list[Dict] = [
            *(_declaration(draft, tool) for tool in draft.config.tools or []),
            *(each for tool in raw for each in as_list(tool.pop("functionDeclarations", None))),
        ]
        self._own = [
            *(_search(draft, tool) for tool in draft.config.hosted_tools or []),
            *filter(None, ({k: v for k, v in tool.items() if v is not None} for tool in raw)),
        ]
        names = [as_dict(function).get("name") for function in self._functions]
        check_names([name for name in names if isinstance(name, str)])
        self.output_tool = self._add_output_tool(draft)
        if self._own and self._calling is not None and self._calling["mode"] == "NONE":
            self._own = []
            draft.note("hosted_tools", "left out, no tool is to be called")
        if self._own and (beside := self._what_excludes_own_tools(draft)):
            raise ConfigError(
                f"hosted_tools: {draft.model.model_name} does not take them together with {beside} "
                "here. Use another model or another provider, or leave one of the two out; or, if "
                "it does, declare it in the model's settings (unsupported_parameters, "
                "exclusive_parameters)"
            )

    def _add_output_tool(self, draft: _Draft) -> str | None:
        output = draft.config.output_config
        if output is None:
            return None
        native = draft.settings.structured_output == "native"
        native = native and not draft.refuses("responseJsonSchema")
        cached = "cachedContent" in draft.options  # then there are no tools beside
        if cached and not native:
            raise ConfigError(
                "structured_output: cannot be had of this model beside options['cached_content'], "
                "which holds all tools"
            )
        alone = cached or not self._functions
        if native and (alone or not draft.excludes("tools", "responseJsonSchema")):
            return None
        taken = [as_dict(function).get("name") for function in self._functions]
        name = free_name([name for name in taken if isinstance(name, str)])
        declaration = {"name": name, "description": OUTPUT_TOOL_PURPOSE}
        schema = _output_schema(draft, output.output_schema)
        self._functions.append(declaration | {"parametersJsonSchema": schema})
        return name

    def _what_excludes_own_tools(self, draft: _Draft) -> str | None:
        can_mix = draft.quirks.server_side_tools
        can_mix = can_mix and not draft.refuses("toolConfig", "includeServerSideToolInvocations")
        if self._functions and not can_mix:
            return "functions, of which structured output may be one"
        native = draft.config.output_config is not None and self.output_tool is None
        if native and draft.excludes("tools", "responseJsonSchema"):
            return "structured output"
        return None

    def declared(self) -> list[Dict]:
        """All tools, as the API has them."""
        functions = [{"functionDeclarations": self._functions}] if self._functions else []
        return [*functions, *self._own]

    def config(self, draft: _Draft) -> Dict | None:
        """How they are called."""
        mixed: Dict = {}
        if self._functions and self._own:
            mixed["includeServerSideToolInvocations"] = True
        calling = self._fitting_calling(draft)
        return mixed | ({"functionCallingConfig": calling} if calling else {}) or None

    def _fitting_calling(self, draft: _Draft) -> Dict | None:
        calling = self._calling
        if self.output_tool is not None:
            alone = len(self._functions) == 1
            calling = _output_calling(calling, self.output_tool, alone=alone)
        if not self._functions:
            if calling is not None and calling["mode"] != "NONE":
                draft.note("tool_choice", "left out, there are no functions")
            return None
        if calling in (None, {"mode": "AUTO"}):
            if self._strict and not draft.refuses("functionCallingConfig", "VALIDATED"):
                calling = {"mode": "VALIDATED"}
            elif self._own:
                return None  # beside tools of its own, the API has another default
        if calling is not None and draft.refuses("functionCallingConfig", calling["mode"]):
            draft.refused(f"tool_choice ({calling['mode']})")
            return None
        return calling


def _is_own_tool(draft: _Draft, tool: Dict) -> bool:
    if "type" in tool:
        draft.note(f"options['tools'] ({tool['type']})", "left out, it is of another API's form")
        return False
    return True


def _declaration(draft: _Draft, tool: ToolDefinition) -> Dict:
    function = tool.function
    what = f"tool {function.name!r}"
    if not re.match("[a-zA-Z_]", function.name):
        raise ConfigError(f"{what}: the API takes names that begin with a letter or _ only")
    declaration: Dict = {"name": function.name}
    if function.description:
        declaration["description"] = function.description
    lost: set[str] = set()
    schema = gemini_schema(plain_copy(what, function.parameters.to_schema()), lost)
    if tool.strict and lost:
        draft.note(what, _told(lost))
    return declaration | ({} if names_nothing(schema) else {"parametersJsonSchema": schema})


def _told(lost: set[str]) -> str:
    return f"told in words, not enforced: {', '.join(sorted(lost))}"


def _search(draft: _Draft, tool: WebSearchHostedTool) -> Dict:
    if draft.refuses("googleSearch"):
        declaration = "no 'googleSearch' in the model's unsupported_parameters"
        raise draft.lacks("hosted_tools", "web search", declaration)
    search: Dict = {}
    unknown = ["allowed_domains", "user_location", "max_uses", "search_context_size"]
    unknown += ["external_web_access", "return_token_budget"]
    if draft.quirks.excluded_domains and tool.blocked_domains:
        search["excludeDomains"] = list(tool.blocked_domains)
    else:
        unknown.append("blocked_domains")
    for name in unknown:
        if getattr(tool, name) is not None:
            draft.note(f"hosted_tools: {name}", "left out, this web search has no such option")
    return {"googleSearch": search}


def _wanted_calling(draft: _Draft) -> Dict | None:
    config = draft.config.tool_choice
    given = draft.options.pop("toolChoice", None)
    parallel = draft.options.pop("parallelToolCalls", None)
    if parallel is None and config is not None:
        parallel = config.parallel
    if parallel is False:
        draft.note("tool_choice.parallel", "left out, the API may always call several at once")
    if given is None:
        return _calling(config)
    if isinstance(given, str) and given in _CHOICE_WORDS:
        return {"mode": _CHOICE_WORDS[given]}
    raise ConfigError(
        "options['tool_choice']: expected 'auto', 'none' or 'required'; or use "
        "AIModelCallConfig.tool_choice or options['tool_config']"
    )


def _calling(choice: ToolChoice | None) -> Dict | None:
    if choice is None:
        return None
    calling: Dict = {"mode": _MODES[choice.type]}
    if choice.type == "specific":
        calling["allowedFunctionNames"] = [choice.specific_tool_name]
    return calling


def _output_calling(calling: Dict | None, output_tool: str, *, alone: bool) -> Dict:
    if calling is not None and "allowedFunctionNames" in calling:
        return calling
    if alone or (calling is not None and calling["mode"] == "NONE"):
        return {"mode": "ANY", "allowedFunctionNames": [output_tool]}
    return {"mode": "ANY"}


# --- structured output


def _output(draft: _Draft, output_tool: str | None) -> Dict:
    output = draft.config.output_config
    if output is None or output_tool is not None:
        return {}
    schema = _output_schema(draft, output.output_schema)
    return {"responseMimeType": "application/json", "responseJsonSchema": schema}


def _output_schema(draft: _Draft, given: Dict) -> Dict:
    lost: set[str] = set()
    schema = gemini_schema(plain_copy("structured_output", given), lost)
    check_output_type(schema.get("type"))
    if lost:
        draft.note("structured_output", _told(lost))
    return schema


# --- what does not go together


def _whole(draft: _Draft, body: Dict, generation: Dict) -> Dict:
    """The body, without what the model refuses."""
    body = merged_body(body, draft.options)
    flat = {**generation, **body}
    draft.drop_unsupported(flat)
    if "cachedContent" in flat:
        _leave_out_cached(draft, flat)
    draft.drop_exclusive(flat)
    if "tools" not in flat:
        _forget_calling(flat)
    kept = {name: flat[name] for name in generation if name in flat}
    body = {name: flat[name] for name in body if name in flat}
    return body | ({"generationConfig": kept} if kept else {})


def _leave_out_cached(draft: _Draft, flat: Dict) -> None:
    for name in _CACHED:
        if flat.pop(name, None) is not None:
            draft.note(name, "left out, it belongs to the cached content")


def _forget_calling(flat: Dict) -> None:
    config = flat.pop("toolConfig", None)
    if isinstance(config, dict):
        rest = {name: value for name, value in cast("Dict", config).items() if name in _FREE}
        flat |= {"toolConfig": rest} if rest else {}


_CACHED = ("systemInstruction", "tools", "toolConfig")
_FREE = ("retrievalConfig",)  # what of toolConfig needs no tools
