"""The clients of ``faults.py``, each as the loop that its documentation shows.

A client's function asks once and yields what a caller gets to see: the pieces of text, and those
of a tool call's arguments. It returns the finish reason that the caller is left with, if any. All
have the same settings: the read timeout of the row, three requests in all, no other limits.

As a script this file is the worker for one client, also where only that client is installed: it
imports nothing but what that client needs, and reads and writes lines of JSON.

    python -m benchmarks.peers "anthropic/anthropic create"
"""

from __future__ import annotations

import json
import os
import sys
import time
import zlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from benchmarks.places import Report, answering

__all__ = ["CLIENTS", "Ask", "Client", "brief"]

REQUESTS = 3  # in all
PROMPT = "Count to four."
USER = [{"role": "user", "content": PROMPT}]
CLAUDE, GPT, GPT_THAT_REASONS = "claude-haiku-4-5", "gpt-4.1-nano", "gpt-5-nano"
GEMINI = "gemini-2.5-flash"
GOOGLE = "google_gemini_api"
TOOL_NAME, TOOL_ABOUT = "weather", "The weather somewhere."
TOOL_SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION = {
    "name": TOOL_NAME,
    "description": TOOL_ABOUT,
    "parameters": TOOL_SCHEMA,
    "strict": True,
}
DHENARA_TOOL = {
    "function": {
        "name": TOOL_NAME,
        "description": TOOL_ABOUT,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string", "required": True}},
        },
    }
}

Pieces = Generator[str, None, str | None]


@dataclass(frozen=True, slots=True)
class Ask:
    """One call: where, with which key, and how long a read may take, in seconds."""

    url: str
    key: str
    timeout: float


@dataclass(frozen=True, slots=True)
class Client:
    """A way to ask.

    Attributes:
        name: The column it gets.
        protocol: What it speaks.
        packages: The distributions that it is, for their versions.
        ask: See the module.
        place: The environment it is installed in, where it is not the project's own.
    """

    name: str
    protocol: str
    packages: tuple[str, ...]
    ask: Callable[[Ask], Pieces]
    place: str | None = None

    @property
    def id(self) -> str:
        """How a worker is told which client it is."""
        return f"{self.protocol}/{self.name}"


def _arguments(arguments: Any) -> str:
    """A call's arguments that come parsed, as the JSON that they were."""
    return json.dumps(arguments, separators=(",", ":"))


# --- us, and dhenara-ai, whose names and documented loop are ours, too


def _dhenara_pieces(chunk: Any, provider: str) -> Iterator[str]:
    for choice in chunk.data.choice_deltas:
        for content in choice.content_deltas or []:
            yield _dhenara_piece(content, provider)


def _dhenara_piece(content: Any, provider: str) -> str:
    call = getattr(content, "tool_call", None)
    if call is not None and call.arguments and provider == GOOGLE:
        return _arguments(call.arguments)  # they come whole, and parsed
    return content.get_text_delta() or getattr(content, "arguments_delta", "") or ""


def _ours(ask: Ask, provider: str, model: Any, **account: Any) -> Pieces:
    from dhenara_stream import AIModelClient
    from dhenara_stream.types import (
        AIModelAPI,
        AIModelAPIProviderEnum,
        AIModelCallConfig,
        AIModelEndpoint,
        ToolDefinition,
    )

    place = AIModelAPIProviderEnum(provider)
    api = AIModelAPI(provider=place, api_key=ask.key, config={"base_url": ask.url, **account})
    config = AIModelCallConfig(
        streaming=True,
        raise_errors=True,
        retries=REQUESTS,
        first_event_timeout=ask.timeout,
        idle_timeout=ask.timeout,
        content_idle_timeout=ask.timeout,
        tools=[ToolDefinition.model_validate(DHENARA_TOOL)],
    )
    finish: str | None = None
    with AIModelClient(AIModelEndpoint(api=api, ai_model=model), config, is_async=False) as client:
        for chunk, final in client.generate(prompt=PROMPT).stream_generator:
            if chunk is not None:
                yield from _dhenara_pieces(chunk, provider)
            if final is not None:
                finish = final.chat_response.choices[0].finish_reason
    return finish


def ours_anthropic(ask: Ask) -> Pieces:
    """dhenara_stream, Messages."""
    from dhenara_stream.types.genai.foundation_models.anthropic.chat import ClaudeHaiku45

    return (yield from _ours(ask, "anthropic", ClaudeHaiku45))


def ours_chat(ask: Ask) -> Pieces:
    """dhenara_stream, Chat Completions."""
    from dhenara_stream.types.genai.foundation_models.openai.chat import GPT41Nano

    return (yield from _ours(ask, "openai", GPT41Nano, api="chat_completions"))


def ours_responses(ask: Ask) -> Pieces:
    """dhenara_stream, Responses."""
    from dhenara_stream.types.genai.foundation_models.openai.chat import GPT5Nano

    return (yield from _ours(ask, "openai", GPT5Nano))


def ours_gemini(ask: Ask) -> Pieces:
    """dhenara_stream, Gemini."""
    from dhenara_stream.types.genai.foundation_models.google.chat import Gemini25Flash

    return (yield from _ours(ask, GOOGLE, Gemini25Flash))


def _dhenara(ask: Ask, provider: str, model: tuple[str, str], variable: str) -> Pieces:
    os.environ[variable] = ask.url  # it has no setting for the address
    ai: Any = import_module("dhenara.ai")
    types: Any = import_module("dhenara.ai.types")
    shared: Any = import_module("dhenara.ai.types.shared")
    module, constant = model
    models: Any = import_module(f"dhenara.ai.types.genai.foundation_models.{module}.chat")

    api = types.AIModelAPI(provider=provider, api_key=ask.key)
    config = types.AIModelCallConfig(
        streaming=True,
        timeout=ask.timeout,
        retries=REQUESTS,
        tools=[types.ToolDefinition.model_validate(DHENARA_TOOL)],
    )
    endpoint = types.AIModelEndpoint(api=api, ai_model=getattr(models, constant))
    client = ai.AIModelClient(model_endpoint=endpoint, config=config, is_async=False)
    finish: str | None = None
    for chunk, final in client.generate(prompt=PROMPT).stream_generator:
        if chunk is not None:
            if isinstance(chunk, shared.SSEErrorResponse):
                raise RuntimeError(f"{chunk.data.error_code}: {chunk.data.message}")
            yield from _dhenara_pieces(chunk, provider)
        if final is not None:
            finish = final.chat_response.choices[0].finish_reason
    return finish


def dhenara_anthropic(ask: Ask) -> Pieces:
    """dhenara-ai, Messages."""
    model = "anthropic", "ClaudeHaiku45"
    return (yield from _dhenara(ask, "anthropic", model, "ANTHROPIC_BASE_URL"))


def dhenara_responses(ask: Ask) -> Pieces:
    """dhenara-ai, Responses."""
    at_v1 = Ask(f"{ask.url}/v1", ask.key, ask.timeout)
    return (yield from _dhenara(at_v1, "openai", ("openai", "GPT5Nano"), "OPENAI_BASE_URL"))


def dhenara_gemini(ask: Ask) -> Pieces:
    """dhenara-ai, Gemini."""
    model, variable = ("google", "Gemini25Flash"), "GOOGLE_GEMINI_BASE_URL"
    return (yield from _dhenara(ask, GOOGLE, model, variable))


# --- the official SDKs


def _anthropic_sdk(ask: Ask) -> Any:
    anthropic: Any = import_module("anthropic")
    return anthropic.Anthropic(
        api_key=ask.key, base_url=ask.url, timeout=ask.timeout, max_retries=REQUESTS - 1
    )


ANTHROPIC_BODY: dict[str, Any] = {
    "model": CLAUDE,
    "max_tokens": 64,
    "messages": USER,
    "tools": [{"name": TOOL_NAME, "description": TOOL_ABOUT, "input_schema": TOOL_SCHEMA}],
}


def anthropic_create(ask: Ask) -> Pieces:
    """anthropic, ``create(stream=True)``."""
    finish: str | None = None
    with (
        _anthropic_sdk(ask) as client,
        client.messages.create(**ANTHROPIC_BODY, stream=True) as stream,
    ):
        for event in stream:
            if event.type == "content_block_delta":
                delta = event.delta
                yield delta.text if delta.type == "text_delta" else delta.partial_json
            elif event.type == "message_delta":
                finish = event.delta.stop_reason
    return finish


def anthropic_stream(ask: Ask) -> Pieces:
    """anthropic, ``.stream()``, which accumulates."""
    with _anthropic_sdk(ask) as client, client.messages.stream(**ANTHROPIC_BODY) as stream:
        for event in stream:
            if event.type == "text":
                yield event.text
            elif event.type == "input_json":
                yield event.partial_json
        finish: str | None = stream.get_final_message().stop_reason
    return finish


def _openai_sdk(ask: Ask) -> Any:
    openai: Any = import_module("openai")
    return openai.OpenAI(
        api_key=ask.key,
        base_url=f"{ask.url}/v1",
        timeout=ask.timeout,
        max_retries=REQUESTS - 1,
    )


CHAT_BODY: dict[str, Any] = {
    "model": GPT,
    "messages": USER,
    "tools": [{"type": "function", "function": FUNCTION}],
}
RESPONSES_BODY: dict[str, Any] = {
    "model": GPT_THAT_REASONS,
    "input": PROMPT,
    "tools": [{"type": "function", **FUNCTION}],
}


def _chat_pieces(choice: Any) -> Iterator[str]:
    yield choice.delta.content or ""
    for call in choice.delta.tool_calls or ():
        yield call.function.arguments or ""


def openai_chat_create(ask: Ask) -> Pieces:
    """openai, ``chat.completions.create(stream=True)``."""
    finish: str | None = None
    with (
        _openai_sdk(ask) as client,
        client.chat.completions.create(**CHAT_BODY, stream=True) as stream,
    ):
        for chunk in stream:
            for choice in chunk.choices or ():
                yield from _chat_pieces(choice)
                finish = choice.finish_reason or finish
    return finish


def openai_chat_stream(ask: Ask) -> Pieces:
    """openai, ``chat.completions.stream()``, which accumulates."""
    with _openai_sdk(ask) as client, client.chat.completions.stream(**CHAT_BODY) as stream:
        for event in stream:
            if event.type == "content.delta":
                yield event.delta
            elif event.type == "tool_calls.function.arguments.delta":
                yield event.arguments_delta
        choices = stream.get_final_completion().choices
    return choices[0].finish_reason if choices else None


_RESPONSES_PIECES = ("response.output_text.delta", "response.function_call_arguments.delta")
_RESPONSES_ERRORS = ("error", "response.failed")


def openai_responses_create(ask: Ask) -> Pieces:
    """openai, ``responses.create(stream=True)``."""
    finish: str | None = None
    with _openai_sdk(ask) as client, client.responses.create(**RESPONSES_BODY, stream=True) as got:
        for event in got:
            if event.type in _RESPONSES_PIECES:
                yield event.delta
            elif event.type in _RESPONSES_ERRORS:
                raise RuntimeError(event.type)
            elif event.type == "response.completed":
                finish = event.response.status
    return finish


def openai_responses_stream(ask: Ask) -> Pieces:
    """openai, ``responses.stream()``, which accumulates."""
    with _openai_sdk(ask) as client, client.responses.stream(**RESPONSES_BODY) as stream:
        for event in stream:
            if event.type in _RESPONSES_PIECES:
                yield event.delta
            elif event.type in _RESPONSES_ERRORS:
                raise RuntimeError(event.type)
        finish: str | None = stream.get_final_response().status
    return finish


def google_genai(ask: Ask) -> Pieces:
    """google-genai, ``generate_content_stream()``, with the retries that it has on request."""
    genai: Any = import_module("google.genai")
    client = genai.Client(
        api_key=ask.key,
        http_options={
            "base_url": ask.url,
            "timeout": int(ask.timeout * 1000),
            "retry_options": {"attempts": REQUESTS},
        },
    )
    function = {"name": TOOL_NAME, "description": TOOL_ABOUT, "parameters_json_schema": TOOL_SCHEMA}
    config = {
        "tools": [{"function_declarations": [function]}],
        "automatic_function_calling": {"disable": True},
    }
    finish: str | None = None
    with client:
        for chunk in client.models.generate_content_stream(
            model=GEMINI, contents=PROMPT, config=config
        ):
            for candidate in chunk.candidates or ():
                for part in (candidate.content and candidate.content.parts) or ():
                    yield part.text or ""
                    yield _arguments(part.function_call.args) if part.function_call else ""
                reason = candidate.finish_reason
                finish = reason.name if reason else finish
    return finish


# --- litellm


def _litellm(ask: Ask, model: str, address: str) -> Pieces:
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch its prices
    litellm: Any = import_module("litellm")
    finish: str | None = None
    for chunk in litellm.completion(
        model=model,
        api_base=address,
        api_key=ask.key,
        timeout=ask.timeout,
        stream_timeout=ask.timeout,
        num_retries=REQUESTS - 1,
        stream=True,
        max_tokens=64,
        messages=USER,
        tools=[{"type": "function", "function": FUNCTION}],
    ):
        for choice in chunk.choices:
            yield from _chat_pieces(choice)
            finish = choice.finish_reason or finish
    return finish


def litellm_anthropic(ask: Ask) -> Pieces:
    """litellm, ``anthropic/``."""
    return (yield from _litellm(ask, f"anthropic/{CLAUDE}", ask.url))


def litellm_chat(ask: Ask) -> Pieces:
    """litellm, ``openai/``."""
    return (yield from _litellm(ask, f"openai/{GPT}", f"{ask.url}/v1"))


def litellm_gemini(ask: Ask) -> Pieces:
    """litellm, ``gemini/``."""
    return (yield from _litellm(ask, f"gemini/{GEMINI}", f"{ask.url}/v1beta"))


# --- by hand


def _by_hand(
    ask: Ask, path: str, headers: Mapping[str, str], body: Mapping[str, Any]
) -> Iterator[Any]:
    """The loop of httpx-sse's README: the events' data as JSON, until ``[DONE]``."""
    import httpx
    import httpx_sse

    with (
        httpx.Client(timeout=ask.timeout, headers=headers) as client,
        httpx_sse.connect_sse(client, "POST", f"{ask.url}{path}", json=body) as source,
    ):
        source.response.raise_for_status()
        for event in source.iter_sse():
            if event.data == "[DONE]":
                return
            yield json.loads(event.data)


def by_hand_anthropic(ask: Ask) -> Pieces:
    """httpx-sse by hand, Messages."""
    finish: str | None = None
    headers = {"x-api-key": ask.key, "anthropic-version": "2023-06-01"}
    for data in _by_hand(ask, "/v1/messages", headers, {**ANTHROPIC_BODY, "stream": True}):
        if data["type"] == "content_block_delta":
            yield data["delta"].get("text") or data["delta"].get("partial_json") or ""
        elif data["type"] == "message_delta":
            finish = data["delta"]["stop_reason"]
        elif data["type"] == "message_stop":
            break
    return finish


def by_hand_chat(ask: Ask) -> Pieces:
    """httpx-sse by hand, Chat Completions."""
    finish: str | None = None
    headers = {"authorization": f"Bearer {ask.key}"}
    for data in _by_hand(ask, "/v1/chat/completions", headers, {**CHAT_BODY, "stream": True}):
        for choice in data.get("choices", ()):
            yield choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls") or ():
                yield call["function"].get("arguments") or ""
            finish = choice.get("finish_reason") or finish
    return finish


def by_hand_responses(ask: Ask) -> Pieces:
    """httpx-sse by hand, Responses."""
    finish: str | None = None
    headers = {"authorization": f"Bearer {ask.key}"}
    for data in _by_hand(ask, "/v1/responses", headers, {**RESPONSES_BODY, "stream": True}):
        if data["type"] in _RESPONSES_PIECES:
            yield data["delta"]
        elif data["type"] == "response.completed":
            finish = data["response"]["status"]
            break
    return finish


def by_hand_gemini(ask: Ask) -> Pieces:
    """httpx-sse by hand, Gemini."""
    finish: str | None = None
    path = f"/v1beta/models/{GEMINI}:streamGenerateContent?alt=sse"
    body = {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}
    for data in _by_hand(ask, path, {"x-goog-api-key": ask.key}, body):
        for candidate in data.get("candidates", ()):
            for part in candidate.get("content", {}).get("parts", ()):
                yield part.get("text") or ""
                yield _arguments(part["functionCall"]["args"]) if "functionCall" in part else ""
            finish = candidate.get("finishReason") or finish
    return finish


OURS = ("dhenara-stream", "httpx")
BY_HAND = ("httpx-sse", "httpx")
LITELLM, DHENARA = ".real/litellm", ".real/dhenara"

CLIENTS = (
    Client("dhenara_stream", "anthropic", OURS, ours_anthropic),
    Client("anthropic create", "anthropic", ("anthropic",), anthropic_create),
    Client("anthropic .stream()", "anthropic", ("anthropic",), anthropic_stream),
    Client("litellm", "anthropic", ("litellm",), litellm_anthropic, LITELLM),
    Client("dhenara-ai", "anthropic", ("dhenara-ai", "anthropic"), dhenara_anthropic, DHENARA),
    Client("httpx-sse by hand", "anthropic", BY_HAND, by_hand_anthropic),
    Client("dhenara_stream", "openai_chat", OURS, ours_chat),
    Client("openai create", "openai_chat", ("openai",), openai_chat_create),
    Client("openai .stream()", "openai_chat", ("openai",), openai_chat_stream),
    Client("litellm", "openai_chat", ("litellm", "openai"), litellm_chat, LITELLM),
    Client("httpx-sse by hand", "openai_chat", BY_HAND, by_hand_chat),
    Client("dhenara_stream", "openai_responses", OURS, ours_responses),
    Client("openai create", "openai_responses", ("openai",), openai_responses_create),
    Client("openai .stream()", "openai_responses", ("openai",), openai_responses_stream),
    Client("dhenara-ai", "openai_responses", ("dhenara-ai", "openai"), dhenara_responses, DHENARA),
    Client("httpx-sse by hand", "openai_responses", BY_HAND, by_hand_responses),
    Client("dhenara_stream", "gemini", OURS, ours_gemini),
    Client("google-genai", "gemini", ("google-genai",), google_genai),
    Client("litellm", "gemini", ("litellm",), litellm_gemini, LITELLM),
    Client("dhenara-ai", "gemini", ("dhenara-ai", "google-genai"), dhenara_gemini, DHENARA),
    Client("httpx-sse by hand", "gemini", BY_HAND, by_hand_gemini),
)


# --- the worker


def brief(piece: str) -> str:
    """A piece as it is reported: a long one by its length and its sum."""
    return piece if len(piece) <= 80 else f"<{len(piece)}:{zlib.crc32(piece.encode()):08x}>"


def _said(error: BaseException) -> str:
    """All that an exception and those behind it say."""
    found: list[BaseException] = [error]
    for one in found:  # it grows
        behind = [one.__cause__, one.__context__, *getattr(one, "exceptions", ())]
        found += [other for other in behind if other is not None and other not in found]
    return "\n".join(f"{one!r} {one}" for one in found)


def outcome(client: Client, ask: Ask, report: Report) -> None:
    """Ask once, and report each piece and the end."""
    begun = time.perf_counter()
    end: dict[str, Any] = {"end": "complete"}
    try:
        pieces = client.ask(ask)
        while True:
            if piece := next(pieces):
                report({"piece": brief(piece)})
    except StopIteration as stop:
        end["finish"] = stop.value
    except Exception as error:  # noqa: BLE001  (whatever a client raises is the result)
        end = {"end": "error", "error": type(error).__name__}
        end["leaked"] = ask.key.strip() in _said(error)
    report({**end, "seconds": time.perf_counter() - begun})


def main(argv: Sequence[str]) -> int:
    """Answer each line with the lines of its outcome; first say which versions are here."""
    client = next(one for one in CLIENTS if one.id == argv[0])
    with answering(client.packages) as report:
        if report is None:
            return 1
        for line in sys.stdin:
            outcome(client, Ask(**json.loads(line)), report)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
