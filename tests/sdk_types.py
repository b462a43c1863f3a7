"""Request bodies, held against the types of the official SDKs.

A body is accepted if it is JSON and the types have a place for all of it: what they read of it,
written again, is the body. Each function returns the body, and raises what the check raised.
"""

import base64
from typing import Any

import msgspec
from anthropic.types import message_create_params as anthropic
from anthropic.types.beta import message_create_params as anthropic_beta
from google.genai import types as google
from openai.types.chat import completion_create_params as openai_chat
from openai.types.responses import response_create_params as openai_responses
from pydantic import BaseModel, TypeAdapter

from dhenara_stream.dialects.base import WireRequest

Dict = dict[str, Any]


def as_sent(wire: WireRequest) -> Dict:
    """The body, if it is JSON."""
    sent = dict(wire.body)
    assert msgspec.json.decode(msgspec.json.encode(sent)) == sent
    return sent


def read_whole(value: Any) -> Any:
    """What the SDK's types made of a value: they read lists lazily, and answers as objects."""
    if isinstance(value, BaseModel):
        return value.model_dump(exclude_unset=True)
    if isinstance(value, dict):
        return {key: read_whole(item) for key, item in value.items()}
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        return value
    return [read_whole(item) for item in value]


# --- the Messages API

ANTHROPIC = {
    (streaming, beta): TypeAdapter[Any](kind)
    for streaming, beta, kind in (
        (False, False, anthropic.MessageCreateParamsNonStreaming),
        (True, False, anthropic.MessageCreateParamsStreaming),
        (False, True, anthropic_beta.MessageCreateParamsNonStreaming),
        (True, True, anthropic_beta.MessageCreateParamsStreaming),
    )
}
ANTHROPIC_UNTYPED = {"temperature", "top_p", "top_k"}  # gone from them, with the newest models


def accepted_by_anthropic(wire: WireRequest, *, beta: bool = False) -> Dict:
    """The body, if ``anthropic`` has types for it."""
    sent = as_sent(wire)
    typed = {name: value for name, value in sent.items() if name not in ANTHROPIC_UNTYPED}
    types = ANTHROPIC["stream" in sent, beta or "context_management" in sent]
    assert read_whole(types.validate_python(typed)) == typed
    return sent


# --- Chat Completions

OPENAI_CHAT = {
    False: TypeAdapter[Any](openai_chat.CompletionCreateParamsNonStreaming),
    True: TypeAdapter[Any](openai_chat.CompletionCreateParamsStreaming),
}


def accepted_by_openai_chat(wire: WireRequest) -> Dict:
    """The body, if ``openai`` has types for it."""
    sent = as_sent(wire)
    assert read_whole(OPENAI_CHAT["stream" in sent].validate_python(sent)) == sent
    return sent


# --- the Responses API

OPENAI_RESPONSES = {
    False: TypeAdapter[Any](openai_responses.ResponseCreateParamsNonStreaming),
    True: TypeAdapter[Any](openai_responses.ResponseCreateParamsStreaming),
}


def accepted_by_openai_responses(wire: WireRequest) -> Dict:
    """The body, if ``openai`` has types for it."""
    sent = as_sent(wire)
    typed = {**sent, "input": [_typed(item) for item in sent["input"]]}
    assert read_whole(OPENAI_RESPONSES["stream" in sent].validate_python(typed)) == typed
    return sent


def _typed(item: Dict) -> Dict:
    # The SDK's types know no status of such a call, but the answers have one.
    untyped = "status" if item.get("type") == "custom_tool_call" else ""
    # They want an id of reasoning; the API takes it without one, as recorded requests show.
    wanted = {"id": "rs_1"} if item.get("type") == "reasoning" else {}
    return wanted | {name: value for name, value in item.items() if name != untyped}


# --- Gemini

GEMINI: dict[str, TypeAdapter[Any]] = {
    "contents": TypeAdapter(list[google.Content]),
    "systemInstruction": TypeAdapter(google.Content),
    "tools": TypeAdapter(list[google.Tool]),
    "toolConfig": TypeAdapter(google.ToolConfig),
    "generationConfig": TypeAdapter(google.GenerationConfig),
    "safetySettings": TypeAdapter(list[google.SafetySetting]),
    "labels": TypeAdapter(dict[str, str]),
    "cachedContent": TypeAdapter(str),
    "serviceTier": TypeAdapter(str),
    "store": TypeAdapter(bool),
}


def accepted_by_gemini(wire: WireRequest) -> Dict:
    """The body, if ``google-genai``, whose types are strict, has some for it."""
    sent = as_sent(wire)
    for name, value in sent.items():
        read = GEMINI[name].validate_json(msgspec.json.encode(value))
        back = GEMINI[name].dump_python(read, mode="json", by_alias=True, exclude_unset=True)
        assert _bytes_read(back) == _bytes_read(value)
    return sent


def _bytes_read(value: Any) -> Any:
    """A value without what base64 has several spellings for."""
    if isinstance(value, dict):
        return {
            key: base64.urlsafe_b64decode(item)
            if key in ("thoughtSignature", "data")
            else _bytes_read(item)
            for key, item in value.items()
        }
    return [_bytes_read(item) for item in value] if isinstance(value, list) else value
