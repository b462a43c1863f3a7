"""Recorded requests to the Responses API, said through the public types."""

import json
from collections.abc import Mapping
from typing import Any

from corpus import Recording
from sdk_types import accepted_by_openai_responses

from dhenara_stream.dialects.base import WireRequest
from dhenara_stream.dialects.openai_responses import OpenAIResponsesDialect, Quirks
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
    ToolCallResult,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)
from dhenara_stream.types.genai.dhenara.response import (
    ChatMessageContentPart,
    ChatResponse,
    ChatResponseChoice,
    ChatResponseGenericContentItem,
    ChatResponseReasoningContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCall,
    ChatResponseToolCallContentItem,
)
from dhenara_stream.types.shared.file import StoredFile

from .requests import Dict, InexpressibleError, Requests, built

MAKER = AIModelProviderEnum.OPEN_AI
EFFORTS = ("minimal", "low", "medium", "high", "xhigh")
INSTRUCTING = ("system", "developer")
RESULTS = ("function_call_output", "custom_tool_call_output")


# --- a recorded request in the words of the public types


def spoken(item: Dict) -> list[Any]:
    """A message of the user's, or a result."""
    if item.get("type") in RESULTS:
        if "status" in item:
            raise InexpressibleError("the status of a result", "results are there or not")
        return [ToolCallResult(call_id=item["call_id"], output=item["output"])]
    content = item["content"]
    if isinstance(content, str):
        return [Prompt(text=content)]
    return [_prompt(part) for part in content]


def _prompt(part: Dict) -> Prompt:
    if part["type"] == "input_text":
        return Prompt(text=part["text"])
    url = part.get("image_url") or part.get("file_url") or part.get("file_data")
    file = StoredFile.from_url(str(url), name=part.get("filename"))
    if file.payload().is_text:
        raise InexpressibleError("a text as a file", "it is sent as text")
    return Prompt(text="", files=[file])


def answered(item: Dict) -> list[Any]:
    """The blocks of an item of an answer."""
    kind = item.get("type", "message")
    if kind == "message":
        parts = item["content"]
        parts = [{"text": parts}] if isinstance(parts, str) else parts
        return [_text(part, item) for part in parts]
    if kind == "reasoning":
        return [_reasoning(item)]
    if kind == "function_call":
        known = {name: item[name] for name in ("call_id", "id", "name") if name in item}
        facts: Dict = {name: item[name] for name in ("status", "namespace") if name in item}
        call = ChatResponseToolCall(
            **known, arguments=json.loads(item["arguments"]), metadata=facts
        )
        return [ChatResponseToolCallContentItem(tool_call=call)]
    return [ChatResponseGenericContentItem(block_type=kind, block=item)]


def _text(part: Dict, item: Dict) -> ChatResponseTextContentItem:
    said = ChatMessageContentPart(
        type="output_text", text=part["text"], annotations=part.get("annotations") or None
    )
    facts: Dict = {name: item[name] for name in ("status", "phase") if name in item}
    return ChatResponseTextContentItem(
        message_id=item.get("id"), message_contents=[said], metadata=facts
    )


def _reasoning(item: Dict) -> ChatResponseReasoningContentItem:
    if "id" not in item:
        raise InexpressibleError("reasoning without its id", "where it came from is not known")
    return ChatResponseReasoningContentItem(
        thinking_id=item["id"],
        thinking_summary=[ChatMessageContentPart(**part) for part in item["summary"]],
        thinking_signature=item.get("encrypted_content"),
    )


def is_answer(item: Dict) -> bool:
    return item.get("role") == "assistant" or ("role" not in item and item["type"] not in RESULTS)


def messages(items: list[Dict]) -> list[Any]:
    said: list[Any] = []
    for item in items:
        if item.get("role") in INSTRUCTING:
            raise InexpressibleError(
                "instructions within the conversation", "instructions come first"
            )
        if not is_answer(item):
            said += spoken(item)
            continue
        if not said or not isinstance(said[-1], ChatResponse):
            choices = [ChatResponseChoice(index=0, contents=[])]
            said.append(ChatResponse(model="m", provider=MAKER, choices=choices))
        contents = said[-1].choices[0].contents
        assert contents is not None
        contents += answered(item)
    return said


def config(recorded: Mapping[str, Any]) -> AIModelCallConfig:
    """All but the conversation."""
    options: Dict = dict(recorded)
    for name in ("model", "input", "instructions", "stream"):
        options.pop(name, None)
    options = {"store": True, "include": [], **options}
    fields: Dict = {"streaming": True, "max_output_tokens": options.pop("max_output_tokens", None)}
    tools = options.pop("tools", None) or []
    fields["tools"] = [_tool(tool) for tool in tools if _is_plain_function(tool)]
    fields["hosted_tools"] = [
        WebSearchHostedTool(search_context_size=tool.get("search_context_size"))
        for tool in tools
        if tool["type"] == "web_search"
    ]
    options["tools"] = [t for t in tools if not _is_plain_function(t) and t["type"] != "web_search"]
    fields |= _choice(options)
    fields |= _output(options)
    if options.get("reasoning", {}).keys() == {"effort"}:
        fields["reasoning_effort"] = options.pop("reasoning")["effort"]
    return AIModelCallConfig(**fields, options=options)


def _is_plain_function(tool: Dict) -> bool:
    known = {"type", "name", "description", "parameters", "strict"}
    return tool["type"] == "function" and not tool.keys() - known


def _tool(tool: Dict) -> ToolDefinition:
    if tool.get("strict") and '"default"' in json.dumps(tool["parameters"]):
        raise InexpressibleError(
            "a default in a strict schema", "it is told in words, for the API refuses it"
        )
    made = ToolDefinition.from_schema(tool["name"], tool["parameters"], tool.get("description"))
    return made.model_copy(update={"strict": tool.get("strict")})


def _choice(options: Dict) -> Dict:
    words: Dict = {"auto": "zero_or_more", "required": "one_or_more", "none": None}
    choice = options.get("tool_choice")
    if isinstance(choice, str):
        del options["tool_choice"]
        return {"tool_choice": ToolChoice(type=words[choice])}
    if isinstance(choice, dict) and choice["type"] == "function":
        del options["tool_choice"]
        chosen = ToolChoice(type="specific", specific_tool_name=choice["name"])
        return {"tool_choice": chosen}
    return {}


def _output(options: Dict) -> Dict:
    form = options.get("text", {}).get("format", {})
    if form.get("type") != "json_schema" or not form.get("strict"):
        return {}
    schema = form["schema"]
    if schema.get("title") != form["name"] or "description" in form:
        return {}  # its name is that of the schema; another one is said by options
    del options["text"]
    return {"structured_output": StructuredOutputConfig(output_schema=schema)}


# --- both in one form


def usual(sent: Mapping[str, Any]) -> Dict:
    """A body in the form that the API would make of it."""
    body = {name: value for name, value in sent.items() if value not in (None, "", [], {})}
    if body.get("store") is True:
        del body["store"]
    given = body["input"]
    given = [{"role": "user", "content": given}] if isinstance(given, str) else given
    body["input"] = _usual_items(given)
    tools = body.get("tools", [])
    if tools:
        body["tools"] = sorted(map(_usual_tool, tools), key=str)
    return body


def _usual_tool(tool: Dict) -> Dict:
    # Left out, the API tries whether the schema can be strict; only a raw tool says so.
    strict = {"strict": bool(tool.get("strict"))} if tool["type"] == "function" else {}
    return {name: v for name, v in sorted({**tool, **strict}.items()) if v not in (None, "")}


def _usual_items(items: list[Dict]) -> list[Dict]:
    usual: list[Dict] = []
    for item in map(_usual_item, items):
        last = usual[-1] if usual else {}
        if item.get("role") == "user" and last.get("role") == "user":
            last["content"] = last["content"] + item["content"]
        else:
            usual.append(dict(item))
    return usual


def _usual_item(item: Dict) -> Dict:
    if item.get("type") == "function_call":
        return {**item, "arguments": json.loads(item["arguments"])}
    if item.get("type", "message") != "message":
        return {name: value for name, value in item.items() if value is not None}
    content, role = item["content"], item["role"]
    kind = "output_text" if role == "assistant" else "input_text"
    parts = [{"type": kind, "text": content}] if isinstance(content, str) else content
    kept = {name: item[name] for name in ("id", "role", "phase") if name in item}
    return kept | {"content": [_usual_part(part) for part in parts]}


def _usual_part(part: Dict) -> Dict:
    return {name: value for name, value in part.items() if value != [] and name != "filename"}


# --- the whole


def named(recorded: Mapping[str, Any]) -> FoundationModel:
    """A model of that name, that takes what is asked of it."""
    limits: Dict = {"max_context_window_tokens": 10**9, "max_output_tokens": 10**8}
    settings = ChatModelSettings(
        **limits, supports_reasoning=True, supported_reasoning_efforts=EFFORTS
    )
    return FoundationModel(provider=MAKER, model_name=recorded["model"], settings=settings)


def say(recording: Recording, recorded: Dict) -> WireRequest:
    """The request that says what was recorded."""
    given: Any = recorded["input"]
    items: list[Dict] = [{"role": "user", "content": given}] if isinstance(given, str) else given
    instructions: Any = recorded.get("instructions")
    role: Any = "field"
    if items[0].get("role") in INSTRUCTING:
        first, *items = items
        role, content = first["role"], first["content"]
        instructions = content if isinstance(content, str) else content[0]["text"]
    return built(
        OpenAIResponsesDialect(Quirks(instructions=role, none_effort=False)),
        AIModelAPIProviderEnum.OPEN_AI,
        named(recorded),
        config(recorded),
        messages(items),
        instructions,
    )


def is_openais(recording: Recording) -> bool:
    """Whether the request went to OpenAI itself; others have fields of their own."""
    return recording.meta["server"] in ("api.openai.com", "openai")


def untyped(body: Dict) -> str | None:
    """Why the SDK's types have no place for a body."""
    if '"sources": null' in json.dumps(body["input"]):
        return "`sources` of a web search is null: the API itself sent it so, and takes it back"
    return None


REQUESTS = Requests(
    "openai-responses", say, usual, accepted_by_openai_responses, is_openais, untyped
)
