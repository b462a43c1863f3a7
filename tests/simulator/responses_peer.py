"""What tests say to OpenAI Responses, and how they read what comes back."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from dhenara_stream.simulator import (
    Answer,
    RawBlock,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    Usage,
)

MODEL = "gpt-5-mini"
PATH = "/v1/responses"
HEADERS = {"authorization": "Bearer sk-test", "content-type": "application/json"}
ENCRYPTED = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
SQL: dict[str, Any] = {"type": "custom", "name": "run_sql", "description": "Runs SQL."}

SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "in_progress"}
EVERYTHING = Answer(
    Thinking("Let me see.\n\nNow I see."),
    RedactedThinking("b3BhcXVl"),
    RawBlock(
        SEARCH,
        [
            {"type": "response.web_search_call.searching"},
            {"type": "response.web_search_call.completed"},
        ],
        {**SEARCH, "status": "completed", "action": {"type": "search", "query": "x"}},
    ),
    Text(
        "Hello there",
        citations=[
            {
                "type": "url_citation",
                "url": "https://example.com/",
                "title": "Example",
                "start_index": 0,
                "end_index": 5,
            }
        ],
    ),
    Refusal("I will say no more."),
    ToolCall("get_weather", {"city": "Zürich"}),
    ToolCall("run_sql", {"input": "select 1"}, id="call_mine"),
    usage=Usage(cache_read_tokens=7, extra={"cost": 1}),
)
ALL_ASKED: dict[str, Any] = {
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": [ENCRYPTED, LOGPROBS],
    "tools": [WEATHER, SQL],
}


def body(said: Any = "Hi", /, **fields: Any) -> dict[str, Any]:
    """A valid request body; fields given as ``...`` are left out."""
    whole = {"model": MODEL, "input": said, "stream": True, **fields}
    return {name: value for name, value in whole.items() if value is not ...}


def events(stream: bytes) -> list[dict[str, Any]]:
    """The events of a stream, each checked to carry its name twice."""
    found: list[dict[str, Any]] = []
    for frame in stream.split(b"\n\n")[:-1]:
        match = re.fullmatch(rb"event: ([\w.]+)\ndata: (.*)", frame)
        assert match, frame
        found.append(msgspec.json.decode(match[2]))
        assert found[-1]["type"] == match[1].decode()
    return found


def kinds(found: Iterable[dict[str, Any]]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in found]


def collected(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The output that a reader has who puts the pieces together, by the rules of wire.md 4.2.

    What is told as done is checked to be what the pieces came to.
    """
    items: list[dict[str, Any]] = []
    for number, event in enumerate(found):
        assert event["sequence_number"] == number
        if "output_index" in event:
            _take(items, event)
    return items


def _take(items: list[dict[str, Any]], event: dict[str, Any]) -> None:
    what, _, word = event["type"].removeprefix("response.").rpartition(".")
    if what == "output_item" and word == "added":
        assert len(items) == event["output_index"]
        items.append(event["item"])
        return
    item = items[event["output_index"]]
    if what == "output_item":
        own = {"status", "encrypted_content", "action"}
        assert item == {k: v for k, v in event["item"].items() if k not in own or k in item} | {
            k: item[k] for k in own & item.keys()
        }
        items[event["output_index"]] = event["item"]
        return
    assert event["item_id"] == item["id"]
    match what, word:
        case ("content_part", "added"):
            item["content"].append(event["part"])
        case ("reasoning_summary_part", "added"):
            item["summary"].append(event["part"])
        case ("content_part", "done"):
            assert item["content"][event["content_index"]] == event["part"]
        case ("reasoning_summary_part", "done"):
            assert item["summary"][event["summary_index"]] == event["part"]
        case ("output_text.annotation", "added"):
            item["content"][event["content_index"]]["annotations"].append(event["annotation"])
        case ("web_search_call", _):
            pass
        case _:
            _take_text(item, what, word, event)


_FIELDS = {
    "output_text": "text",
    "refusal": "refusal",
    "reasoning_summary_text": "text",
    "function_call_arguments": "arguments",
    "custom_tool_call_input": "input",
}


def _take_text(item: dict[str, Any], what: str, word: str, event: dict[str, Any]) -> None:
    holder = item
    if what in ("output_text", "refusal"):
        holder = item["content"][event["content_index"]]
    if what == "reasoning_summary_text":
        holder = item["summary"][event["summary_index"]]
    name = _FIELDS[what]
    if word == "delta":
        holder[name] += event["delta"]
        if "logprobs" in event:
            holder["logprobs"] += event["logprobs"]
    else:
        assert holder[name] == event[name]
