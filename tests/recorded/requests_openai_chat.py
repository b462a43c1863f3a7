"""Recorded requests to Chat Completions, said through the public types.

``express`` reads a body and makes the call that asks for the same; ``plain`` brings two bodies to
one form, so that order, defaults and spellings that mean the same do not count.
"""

import base64
from typing import Any

import msgspec
from corpus import Recording
from sdk_types import accepted_by_openai_chat

from dhenara_stream.dialects.base import WireRequest
from dhenara_stream.dialects.openai_chat import OpenAIChatDialect, Quirks
from dhenara_stream.types.genai.ai_model import (
    AIModelAPIProviderEnum,
    AIModelProviderEnum,
    ChatModelSettings,
    FoundationModel,
)
from dhenara_stream.types.genai.dhenara.request import (
    AIModelCallConfig,
    Prompt,
    StructuredOutputConfig,
    SystemInstruction,
    ToolCallResult,
    ToolChoice,
    ToolDefinition,
)
from dhenara_stream.types.genai.dhenara.response import (
    ChatMessageContentPart,
    ChatResponse,
    ChatResponseChoice,
    ChatResponseContentItem,
    ChatResponseReasoningContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCall,
    ChatResponseToolCallContentItem,
)
from dhenara_stream.types.shared.file import GenericFile, StoredFile

from .requests import Dict, InexpressibleError, Requests, built

LIMITS = ("max_tokens", "max_completion_tokens")
REASONING = {"reasoning", "reasoning_effort", "thinking"}
CHOICES = {"auto": "zero_or_more", "required": "one_or_more", "any": "one_or_more", "none": None}


def say(recording: Recording, asked: Dict) -> WireRequest:
    """The request that says what was recorded."""
    styles: Dict = {"thinking": "thinking", "reasoning": "object"}
    quirks = Quirks(
        more_sampling=True,
        cache_marks=True,
        pdfs="document_url" if recording.meta["server"] == "mistral" else "file_url",
        seed_field="random_seed" if "random_seed" in asked else "seed",
        reasoning=next((style for name, style in styles.items() if name in asked), "effort"),
        none_effort=False,
        reasoning_replay="always",
        reasoning_field="reasoning_details" if has_details(asked) else "received",
    )
    config, system, messages = express(asked)
    dialect, place = OpenAIChatDialect(quirks), AIModelAPIProviderEnum.OPENAI_COMPATIBLE
    return built(dialect, place, named(asked), config, messages, system)


def has_details(asked: Dict) -> bool:
    """Whether reasoning goes back in the form that OpenRouter has for it."""
    return any("reasoning_details" in message for message in asked.get("messages", ()))


def named(sent: Dict) -> FoundationModel:
    """A model of that name, that takes what is asked of it."""
    return FoundationModel(
        provider=AIModelProviderEnum.CUSTOM,
        model_name=sent["model"],
        settings=ChatModelSettings(
            max_context_window_tokens=10**7,
            max_output_tokens=10**6,
            supports_reasoning=not REASONING.isdisjoint(sent),
        ),
    )


def express(sent: Dict) -> tuple[AIModelCallConfig, list[SystemInstruction], list[Any]]:
    """The config, the instructions and the messages of the call.

    Raises:
        InexpressibleError: If there is no such call.
    """
    given = dict(sent)
    if "messages" not in given:
        raise InexpressibleError("no messages at all", "a call has something to answer")
    if not 0 <= given.get("temperature", 1) <= 2:
        raise InexpressibleError(
            "a temperature of 100", "the API refuses it, and so does the config"
        )
    messages = given.pop("messages")
    fields: Dict = {"streaming": given.pop("stream", False)}
    given.pop("stream_options", None)
    for name in LIMITS:
        if name in given:
            fields["max_output_tokens"] = given.pop(name)
    if "tools" in given:
        fields["tools"] = [_tool(tool) for tool in given["tools"] if "function" in tool]
        given["tools"] = [tool for tool in given["tools"] if "function" not in tool]
    fields |= _choice(given)
    if given.get("response_format", {}).get("type") == "json_schema":
        schema = given.pop("response_format")["json_schema"]["schema"]
        fields["structured_output"] = StructuredOutputConfig(output_schema=schema)
    if given.get("response_format") == {"type": "text"}:
        del given["response_format"]
    del given["model"]
    config = AIModelCallConfig(**fields, options=given)
    system = [message for message in messages if message["role"] in ("system", "developer")]
    if system != messages[: len(system)]:
        raise InexpressibleError("instructions within the conversation", "instructions come first")
    texts = [
        SystemInstruction(text=_text(message["content"]), cache_control=_mark(message))
        for message in system
    ]
    return config, texts, [_message(message, sent) for message in messages[len(system) :]]


def _choice(given: Dict) -> Dict:
    choice = given.pop("tool_choice", None)
    parallel = given.pop("parallel_tool_calls", True)
    if choice is None and parallel:
        return {}
    named = choice["function"]["name"] if isinstance(choice, dict) else None
    word = choice if isinstance(choice, str) else "auto"
    kind = "specific" if named else CHOICES[word]
    made = ToolChoice(type=kind, specific_tool_name=named, parallel=parallel)  # type: ignore[arg-type]
    return {"tool_choice": made}


def _tool(tool: Dict) -> ToolDefinition:
    function = tool["function"]
    schema = function.get("parameters") or {}
    made = ToolDefinition.from_schema(
        function["name"], {"type": "object", **schema}, function.get("description")
    )
    made.strict = function.get("strict")
    return made


def _text(content: Any) -> str:
    parts = content if isinstance(content, list) else [{"text": content}]
    return " ".join(part["text"] for part in parts)


def _mark(message: Dict) -> Any:
    content = message["content"]
    parts = [message, *(content if isinstance(content, list) else [])]
    marks = [part["cache_control"].get("ttl", "5m") for part in parts if "cache_control" in part]
    return marks[-1] if marks else None


def _message(message: Dict, sent: Dict) -> Any:
    extra = message.keys() & {"name", "annotations"}
    if any(message[name] for name in extra):
        raise InexpressibleError(
            f"the {' and '.join(sorted(extra))} of a message", "no other dialect has any"
        )
    if message["role"] == "tool":
        if "tool_call_id" not in message:
            raise InexpressibleError("a result that names no call", "results belong to calls")
        return ToolCallResult(call_id=message["tool_call_id"], output=message["content"])
    if message["role"] == "assistant":
        return _answer(message, sent)
    content = message["content"]
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    files: list[GenericFile] = [_file(part) for part in parts if part["type"] != "text"]
    return Prompt(text="\n\n".join(texts), files=files, cache_control=_mark(message))


def _file(part: Dict) -> StoredFile:
    if part["type"] == "image_url":
        return StoredFile.from_url(part["image_url"]["url"], mime_type="image/png")
    if part["type"] == "file":
        return StoredFile.from_url(part["file"]["file_data"], part["file"]["filename"])
    if part["type"] == "document_url":
        return StoredFile.from_url(part["document_url"], part["document_name"])
    assert part["type"] == "input_audio"
    raise InexpressibleError(
        "a sound whose bytes are not in the recording", "there is nothing to send"
    )


def _answer(message: Dict, sent: Dict) -> ChatResponse:
    items: list[ChatResponseContentItem] = []
    for name in ("reasoning_content", "reasoning", "reasoning_details"):
        if name in message and not items:
            items.append(_reasoning(name, message))
    if message.get("content"):
        part = ChatMessageContentPart(type="output_text", text=_text(message["content"]))
        items.append(ChatResponseTextContentItem(message_contents=[part]))
    for each in message.get("tool_calls") or []:
        call = ChatResponseToolCall(
            call_id=each.get("id"),
            name=each["function"]["name"],
            arguments=msgspec.json.decode(each["function"]["arguments"] or "{}") or {},
        )
        items.append(ChatResponseToolCallContentItem(tool_call=call))
    return ChatResponse(
        model=sent["model"],
        provider=AIModelProviderEnum.CUSTOM,
        choices=[ChatResponseChoice(index=0, contents=items)],
    )


def _reasoning(name: str, message: Dict) -> ChatResponseReasoningContentItem:
    metadata: Dict = {"reasoning_field": name}
    if "reasoning_details" in message:
        metadata["reasoning_details"] = message["reasoning_details"]
    text = message.get("reasoning_content") or message.get("reasoning")
    parts = [ChatMessageContentPart(type="thinking", text=text)] if text else None
    return ChatResponseReasoningContentItem(message_contents=parts, metadata=metadata)


def plain(body: Dict) -> Dict:
    """The body in one of the forms that mean the same."""
    made = {name: value for name, value in body.items() if value is not None}
    made.pop("stream_options", None)
    if made.pop("max_tokens", None) or made.get("max_completion_tokens"):
        made["limit"] = body.get("max_tokens") or body.get("max_completion_tokens")
        made.pop("max_completion_tokens", None)
    made["messages"] = _merged([_plain_message(message) for message in body["messages"]])
    asked = made.get("reasoning")
    if isinstance(asked, dict) and not {"effort", "max_tokens"}.isdisjoint(asked):
        # OpenRouter: an effort or a budget switches reasoning on.
        made["reasoning"] = {k: v for k, v in asked.items() if (k, v) != ("enabled", True)}
    if "tools" in made:
        made["tools"] = sorted(
            map(_plain_tool, made["tools"]), key=lambda tool: str(tool.get("name"))
        )
    if made.get("tools") == []:
        del made["tools"]
    for name, default in {"parallel_tool_calls": True, "tool_choice": "auto"}.items():
        if made.get(name) == default:
            del made[name]
    if made.get("tool_choice") == "any":
        made["tool_choice"] = "required"
    if isinstance(made.get("stop"), str):
        made["stop"] = [made["stop"]]
    if made.get("response_format", {}).get("type") == "text":
        del made["response_format"]
    form = made.get("response_format", {}).get("json_schema")
    if form is not None:
        made["response_format"] = (_plain_schema(form["schema"]), bool(form.get("strict")))
    return made


def _plain_tool(tool: Dict) -> Dict:
    if "function" not in tool:
        return tool
    function = {k: v for k, v in tool["function"].items() if v not in (None, False, "")}
    schema = {"type": "object", "properties": {}, **function.pop("parameters", {})}
    if not schema.get("required"):
        schema.pop("required", None)
    return function | {"parameters": _plain_schema(schema)}


def _plain_schema(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_plain_schema(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: _plain_schema(part) for name, part in schema.items()}
    if isinstance(made.get("required"), list):
        made["required"] = sorted(made["required"])
    return made


def _plain_message(message: Dict) -> Dict:
    made = {k: v for k, v in message.items() if v not in (None, "", [], False)}
    made["role"] = "system" if made["role"] == "developer" else made["role"]
    content = message.get("content") or ""
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    made["content"] = [_plain_part(part) for part in parts]
    made["cache_control"] = _mark(message | {"content": content})
    made["tool_calls"] = [
        {
            "id": each.get("id", "call"),
            "name": each["function"]["name"],
            "arguments": msgspec.json.decode(each["function"]["arguments"] or "{}") or {},
        }
        for each in message.get("tool_calls") or []
    ]
    if "reasoning_content" in made or "reasoning_details" in made:
        made.pop("reasoning", None)
    return made


def _plain_part(part: Dict) -> Any:
    if part["type"] == "text":
        return part["text"].strip()
    if part["type"] == "image_url":
        return _plain_url(part["image_url"]["url"])
    if part["type"] == "file":
        return _plain_url(part["file"]["file_data"])
    return _plain_url(part["document_url"])


def _plain_url(url: str) -> bytes:
    head, comma, data = url.partition(";base64,")
    return base64.b64decode(data) if comma else head.encode()


def _merged(messages: list[Dict]) -> list[Dict]:
    """Neighbours of one speaker as one, with all their words as one text."""
    merged: list[Dict] = []
    for message in messages:
        if merged and message["role"] == merged[-1]["role"] != "tool":
            merged[-1]["content"] += message["content"]
            merged[-1]["tool_calls"] += message["tool_calls"]
        else:
            merged.append(message)
    for message in merged:
        texts = [part for part in message["content"] if isinstance(part, str)]
        others = [part for part in message["content"] if not isinstance(part, str)]
        message["content"] = [" ".join(" ".join(texts).split()), *sorted(others)]
    return merged


def is_openais(recording: Recording) -> bool:
    """Whether the request went to OpenAI itself; others have fields of their own."""
    return recording.meta["server"] in ("api.openai.com", "openai")


REQUESTS = Requests("openai-chat", say, plain, accepted_by_openai_chat, is_openais)
