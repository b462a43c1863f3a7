"""Recorded requests to Gemini, said through the public types."""

import base64
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec
from corpus import Recording
from reading import accumulate
from sdk_types import accepted_by_gemini

from dhenara_stream.dialects.base import WireRequest
from dhenara_stream.dialects.gemini import GeminiDialect
from dhenara_stream.dialects.gemini.stream import GeminiDecoder
from dhenara_stream.types.genai.ai_model import (
    AIModelAPIProviderEnum,
    AIModelProviderEnum,
    FoundationModel,
)
from dhenara_stream.types.genai.dhenara.request import (
    AIModelCallConfig,
    Prompt,
    StructuredOutputConfig,
    ToolCallResult,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)
from dhenara_stream.types.genai.foundation_models.google import chat
from dhenara_stream.types.shared.file import StoredFile

from .requests import Dict, InexpressibleError, Requests, built

MODELS = {
    model.model_name: model
    for name in chat.__all__
    if isinstance(model := getattr(chat, name), FoundationModel)
}
PLAIN, THINKING = (
    FoundationModel(
        provider=AIModelProviderEnum.GOOGLE_AI,
        model_name="any",
        settings=msgspec.structs.replace(model.get_settings(), unsupported_parameters=()),
    )
    for model in (chat.Gemini20Flash, chat.Gemini25Flash)
)
SEARCH = WebSearchHostedTool()


def say(recording: Recording, asked: Dict) -> WireRequest:
    """The request that says what was recorded."""
    sent = spelled(asked)
    config: Dict = dict(sent.pop("generationConfig", None) or {})
    options: Dict = {"safety_settings": sent.pop("safetySettings", None), "thinking_config": {}}
    fields: Dict = {"max_output_tokens": config.pop("maxOutputTokens", None)}
    budget = config.pop("thinkingConfig", {})
    model = MODELS.get(recording.meta["model"], PLAIN)
    if not model.get_settings().supports_reasoning:
        options.pop("thinking_config")
        model = THINKING if budget else model
    by_effort = model.get_settings().reasoning_control == "effort"
    if budget.get("includeThoughts") and not (by_effort and "thinkingBudget" in budget):
        fields |= {"reasoning": True, "max_reasoning_tokens": budget.get("thinkingBudget")}
        fields["reasoning_effort"] = str(budget.get("thinkingLevel", "")).lower() or None
        options.pop("thinking_config", None)
    elif budget:
        options["thinking_config"] = budget
    if "responseJsonSchema" in config:
        fields["structured_output"] = StructuredOutputConfig(
            output_schema=config.pop("responseJsonSchema")
        )
        assert config.pop("responseMimeType") == "application/json"
    fields |= choice_of(sent.pop("toolConfig", None) or {}, options)
    tools = [dict(entry) for entry in sent.pop("tools", None) or []]
    functions = [f for entry in tools for f in entry.pop("functionDeclarations", ())]
    fields["tools"] = [function_of(function) for function in functions] or None
    fields["hosted_tools"] = [SEARCH for entry in tools if entry == {"googleSearch": {}}] or None
    options["tools"] = [entry for entry in tools if entry not in ({}, {"googleSearch": {}})]
    system = sent.pop("systemInstruction", None) or {"parts": []}
    messages = [message for said in said_in(sent.pop("contents")) for message in said]
    assert sent == {}
    options["generation_config"] = config
    return built(
        GeminiDialect(),
        AIModelAPIProviderEnum.GOOGLE_AI,
        model,
        AIModelCallConfig(**fields, options=options),
        messages,
        [part["text"] for part in system["parts"]],
    )


def choice_of(config: Dict, options: Dict) -> Dict:
    calling = config.get("functionCallingConfig", {})
    names, mode = calling.get("allowedFunctionNames"), calling.get("mode")
    if names:
        return {"tool_choice": ToolChoice(type="specific", specific_tool_name=names[0])}
    if mode is not None:
        kinds = {"AUTO": "zero_or_more", "ANY": "one_or_more", "NONE": None}
        return {"tool_choice": ToolChoice(type=kinds[mode])}  # type: ignore[arg-type]
    options["tool_config"] = config
    return {}


def function_of(declared: Dict) -> ToolDefinition:
    schema = declared.get("parametersJsonSchema") or declared.get("parameters") or {}
    if '"default"' in json.dumps(schema):
        raise InexpressibleError(
            "a parameter's default", "it is told in words, for some models refuse it"
        )
    return ToolDefinition.from_schema(
        declared["name"],
        {"properties": {}, **lowered(schema), "type": "object"},
        declared.get("description"),
    )


def said_in(contents: list[Dict]) -> Iterator[list[Any]]:
    calls: list[Any] = []
    for content in contents:
        if not joined(content["parts"]):
            raise InexpressibleError("a turn without content", "it says nothing, and is left out")
        if content.get("role") == "model":
            decoder = GeminiDecoder()
            document = {"candidates": [{"content": content, "finishReason": "STOP"}]}
            said = decoder.decode_document(msgspec.json.encode(document))
            answer = accumulate([said], provider=AIModelProviderEnum.GOOGLE_AI)
            calls = answer.tools()
            yield [answer]
        else:
            yield [message for part in content["parts"] for message in asked(part, calls)]


def asked(part: Dict, calls: list[Any]) -> Iterator[Any]:
    if "functionResponse" in part:
        answered = part["functionResponse"]
        key = "call_id" if "id" in answered else "name"
        wanted = answered.get("id", answered["name"])
        match = next((found for found in calls if getattr(found, key) == wanted), None)
        if match is None:
            raise InexpressibleError("a result that names no call", "results belong to calls")
        calls.remove(match)
        output = answered["response"]
        alone = output.keys() == {"output"}
        yield ToolCallResult(call_id=match.call_id, output=output["output"] if alone else output)
    elif "text" in part:
        yield part["text"]
    elif "inlineData" in part:
        data = base64.b64decode(part["inlineData"]["data"])
        file = StoredFile.from_bytes(data, "a", part["inlineData"]["mimeType"])
        yield Prompt(text="", files=[file])
    else:
        uri, kind = part["fileData"]["fileUri"], part["fileData"]["mimeType"]
        yield Prompt(text="", files=[StoredFile.from_url(uri, mime_type=kind)])


def spelled(value: Any) -> Any:
    """In camel case, without what says nothing."""
    if isinstance(value, list):
        return [spelled(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {k: spelled(v) for k, v in value.items() if (k, v) != ("thought", False)}
    if "<elided" in str(kept.get("data")):  # too large to be kept in the recording
        kept["data"] = "ZWxpZGVk"
    if isinstance(kept.get("data"), str):
        kept["data"] = kept["data"].replace("-", "+").replace("_", "/")
    return {re.sub("_([a-z])", lambda m: m[1].upper(), k): v for k, v in kept.items()}


def lowered(value: Any) -> Any:
    """A schema whose types are written as JSON schema has them."""
    if isinstance(value, list):
        return [lowered(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: item.lower() if key == "type" and isinstance(item, str) else lowered(item)
        for key, item in value.items()
    }


def compared(sent: Any) -> Any:
    """A body, in the one spelling in which two of them are compared."""
    made = spelled(msgspec.json.decode(msgspec.json.encode(sent)))
    made["contents"] = list(merged(made["contents"]))
    (made.get("systemInstruction") or {}).pop("role", None)
    tools = made.get("tools") or ()
    functions = [f for entry in tools for f in entry.pop("functionDeclarations", ())]
    for function in functions:
        schema = function.pop("parameters", None) or function.pop("parametersJsonSchema", None)
        function.pop("parametersJsonSchema", None)
        if not function.get("description"):
            function.pop("description", None)
        if schema and schema.get("properties"):
            function["schema"] = lowered(schema)
    own = [{k: v for k, v in entry.items() if v is not None} for entry in tools]
    made["tools"] = [*functions, *filter(None, own)]
    config = made.get("generationConfig") or {}
    level = config.get("thinkingConfig", {}).get("thinkingLevel")
    if level:
        config["thinkingConfig"]["thinkingLevel"] = level.upper()
    made["generationConfig"] = config
    return {name: value for name, value in made.items() if value}


def merged(contents: list[Dict]) -> Iterator[Dict]:
    """The contents with those of one role that follow one another as one."""
    for role, some in itertools.groupby(contents, lambda content: content.get("role", "user")):
        yield {"role": role, "parts": joined([part for each in some for part in each["parts"]])}


def joined(given_parts: list[Dict]) -> list[Dict]:
    """The parts with those that follow one another and are unsigned text of a kind as one."""
    out: list[Dict] = []
    for part in map(dict, given_parts):
        if part.get("thought") is False:
            del part["thought"]
        if part.keys() == {"functionCall"} and not part["functionCall"]:
            continue
        same = out and "text" in part and part.keys() == out[-1].keys()
        if same and "thoughtSignature" not in part:
            out[-1] = {**part, "text": out[-1]["text"] + part["text"]}
        elif part.get("text") or part.keys() - {"text", "thought"}:
            out.append(part)
    return out


REQUESTS = Requests("gemini", say, compared, accepted_by_gemini)
