"""The Gemini protocol: answers streamed and whole, errors, requests; and our client end to end."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import anyio
import httpx
import msgspec
import pytest
from simulator.peer import Reply, connect, read_to_end
from simulator.protocols import at_once, post, refused, streamed

from dhenara_stream import AIModelClient
from dhenara_stream.simulator import (
    Answer,
    ErrorEvent,
    Malformed,
    OnlyPings,
    RawBlock,
    RedactedThinking,
    Refusal,
    Respond,
    Simulator,
    Text,
    Thinking,
    ToolCall,
    Usage,
)
from dhenara_stream.simulator.gemini import GeminiAPI, VertexGemini
from dhenara_stream.simulator.generate import Ask, Tool
from dhenara_stream.simulator.http1 import Request
from dhenara_stream.simulator.protocol import Call, Refused
from dhenara_stream.simulator.signatures import Signatures
from dhenara_stream.types import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelCallConfig,
    AIModelCallResponse,
    AIModelEndpoint,
    BaseAIModel,
    Prompt,
    StructuredOutputConfig,
    ToolCallResult,
    ToolDefinition,
)
from dhenara_stream.types.genai.foundation_models.google.chat import (
    Gemini25Flash,
    Gemini31ProPreview,
)

Dict = dict[str, Any]
OLD, NEW = "gemini-2.5-flash", "gemini-3.1-pro-preview"
HEADERS = {"x-goog-api-key": "AIzaTest", "content-type": "application/json"}
BEARER: dict[str, str | None] = {"x-goog-api-key": None, "authorization": "Bearer t"}
PROJECT = "projects/p/locations/europe-west1/"


def body(prompt: str = "Hi", **fields: Any) -> Dict:
    """A valid request body; fields given as ``...`` are left out."""
    contents = [{"role": "user", "parts": [{"text": prompt}]}]
    whole: Dict = {"contents": contents, **fields}
    return {name: value for name, value in whole.items() if value is not ...}


def thoughts(**config: Any) -> Dict:
    return {"generationConfig": {"thinkingConfig": {"includeThoughts": True}, **config}}


def path_of(model: str = OLD, method: str = "streamGenerateContent", *, vertex: bool) -> str:
    if vertex:
        return f"/v1beta1/{PROJECT}publishers/google/models/{model}:{method}"
    return f"/v1beta/models/{model}:{method}"


def request(
    content: Dict | bytes | None = None,
    *,
    path: str | None = None,
    query: str = "alt=sse",
    vertex: bool = False,
    headers: dict[str, str | None] | None = None,
) -> Request:
    sent = body() if content is None else content
    named: dict[str, str | None] = {**HEADERS, **(BEARER if vertex else {}), **(headers or {})}
    return post(path or path_of(vertex=vertex), sent, named, query)


def read(
    content: Dict | bytes | None = None,
    *,
    vertex: bool = False,
    validate: bool = True,
    require_key: bool = True,
    **keywords: Any,
) -> Call:
    protocol = VertexGemini() if vertex else GeminiAPI()
    sent = request(content, vertex=vertex, **keywords)
    return protocol.read(sent, "0a1b2c3d", require_key=require_key, validate=validate)


def refusal(*args: Any, **keywords: Any) -> tuple[int, str | None]:
    error = refused(read, *args, **keywords)
    return error.status, error.message


def events(stream: bytes) -> list[Dict]:
    """The chunks of a stream, each checked to be framed as the service does it."""
    frames = stream.split(b"\r\n\r\n")
    assert frames.pop() == b""
    found = [re.fullmatch(rb"data: ([^\r\n]*)", frame) for frame in frames]
    return [msgspec.json.decode(match[1]) for match in found if match]


def call_of(model: str, vertex: bool, method: str, **fields: Any) -> Call:
    path = path_of(model, method, vertex=vertex)
    return read(body(**fields), path=path, vertex=vertex, validate=False)


def stream(answer: Answer, model: str = OLD, *, vertex: bool = False, **fields: Any) -> list[Dict]:
    protocol = VertexGemini() if vertex else GeminiAPI()
    call = call_of(model, vertex, "streamGenerateContent", **fields)
    return events(streamed(protocol, call, answer))


def whole(answer: Answer, model: str = OLD, *, vertex: bool = False, **fields: Any) -> Dict:
    protocol = VertexGemini() if vertex else GeminiAPI()
    call = call_of(model, vertex, "generateContent", **fields)
    return at_once(protocol, call, answer)


def parts(chunk: Dict, candidate: int = 0) -> list[Dict]:
    found: list[Dict] = chunk["candidates"][candidate].get("content", {}).get("parts", [])
    return found


def said(chunks: Iterable[Dict]) -> list[Dict]:
    """The parts of all chunks of the first candidate."""
    return [part for chunk in chunks for part in parts(chunk)]


def collected(chunks: list[Dict]) -> Dict:
    """The response that a stream's reader has at its end, by the rules of wire.md 5.2."""
    candidates: dict[int, Dict] = {}
    response: Dict = {}
    for chunk in chunks:
        response |= {name: value for name, value in chunk.items() if name != "candidates"}
        for told in chunk.get("candidates", []):
            candidate = candidates.setdefault(told.get("index", 0), {"parts": []})
            for name, value in told.items():
                take(candidate, name, value)
    listed = [candidates[index] for index in sorted(candidates)]
    return response | ({"candidates": listed} if listed else {})


def take(candidate: Dict, name: str, value: Any) -> None:
    if name == "content":
        assert value["role"] == "model"
        for part in value["parts"]:
            add(candidate["parts"], part)
    elif name in ("logprobsResult", "citationMetadata"):
        known = candidate.setdefault(name, {})
        for key, items in value.items():
            known[key] = [*known.get(key, []), *items]
    elif name == "groundingMetadata":
        candidate[name] = candidate.get(name, {}) | value
    else:
        candidate[name] = value


def add(found: list[Dict], part: Dict) -> None:
    last = found[-1] if found else {}
    alike = "text" in part and "text" in last and part.get("thought") == last.get("thought")
    if alike and "thoughtSignature" not in last:
        found[-1] = {**last, **part, "text": last["text"] + part["text"]}
    elif part != {"text": ""}:
        found.append(part)


EVERYTHING = Answer(
    Thinking("Let me see."),
    Text(
        "Hello there",
        citations=[
            {"webSearchQueries": ["hello"]},
            {"groundingChunks": [{"web": {"uri": "https://example.com", "title": "E"}}]},
            {"startIndex": 0, "endIndex": 5, "uri": "https://example.com/a"},
            {"startIndex": 6, "endIndex": 11, "uri": "https://example.com/b"},
        ],
    ),
    ToolCall("get_time", {"zone": "Europe/Berlin"}),
    ToolCall("now", id="mine"),
    RawBlock(
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        [{"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}}],
        {"executableCode": {"language": "PYTHON", "code": "1"}},
    ),
    usage=Usage(cache_read_tokens=7, extra={"toolUsePromptTokenCount": 3}),
)
# A block has one form when it is whole; this one's stream has two parts.
WITHOUT_RAW = Answer(*EVERYTHING.content[:-1], usage=EVERYTHING.usage)
BLOCKED = RawBlock({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})
SIGNED = Thinking("Hm.", signature="c2ln")


@pytest.mark.parametrize("vertex", [False, True])
@pytest.mark.parametrize("model", [OLD, NEW, "my-model"])
@pytest.mark.parametrize(
    "fields",
    [
        {},
        thoughts(),
        {"generationConfig": {"candidateCount": 3}},
        {"generationConfig": {"responseLogprobs": True, "logprobs": 2}},
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        WITHOUT_RAW,
        Answer("Hello"),
        Answer("Hello ", "there"),
        Answer(),
        Answer(Thinking("Hm."), "Hi", Thinking("Ah."), "Bye", Thinking("So.")),
        Answer(RedactedThinking(), "Hi", ToolCall("f")),
        Answer("", Thinking(""), ToolCall("f")),
        Answer("No.", stop_reason="SAFETY", stop_details={"finishMessage": "no"}),
        Answer("Stop", stop_reason="stop_sequence", stop_sequence="X", id="me", model="other"),
        Answer(Refusal("I will not.")),
        Answer(ToolCall("f", '{"a": ')),
        Answer(BLOCKED),
        Answer("Hi", BLOCKED),
        Answer("Hi", RawBlock({"inlineData": {"mimeType": "image/png", "data": "aGk="}})),
    ],
)
def test_the_whole_answer_is_what_the_stream_adds_up_to(
    answer: Answer, fields: Dict, model: str, vertex: bool
) -> None:
    found = collected(stream(answer, model, vertex=vertex, **fields))
    assert found == collected([whole(answer, model, vertex=vertex, **fields)])


def test_a_chunk() -> None:
    first, last = stream(Answer("Hi", usage=Usage(input_tokens=4)))
    assert first == {
        "candidates": [{"content": {"parts": [{"text": "Hi"}], "role": "model"}, "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 4,
            "candidatesTokenCount": 1,
            "totalTokenCount": 5,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 4}],
        },
        "modelVersion": OLD,
        "responseId": "0a1b2c3d",
    }
    (candidate,) = last["candidates"]
    assert (parts(last), candidate["finishReason"]) == ([{"text": ""}], "STOP")


def test_a_chunk_of_vertex() -> None:
    first, last = stream(Answer("Hi"), vertex=True)
    assert "index" not in first["candidates"][0]
    assert first["usageMetadata"] == {"trafficType": "ON_DEMAND"}
    assert first["createTime"].startswith("2026-")
    assert last["usageMetadata"]["trafficType"] == "ON_DEMAND"
    assert last["candidates"][0]["avgLogprobs"] < 0
    assert stream(Answer(), vertex=True)[0]["candidates"][0]["avgLogprobs"] == 0


def test_the_parts_of_a_raw_block_come_one_by_one() -> None:
    (code, result, _) = said(stream(Answer(EVERYTHING.content[-1])))
    assert (list(code), list(result)) == (["executableCode"], ["codeExecutionResult"])
    assert parts(whole(Answer(EVERYTHING.content[-1]))) == [code]


def test_only_content_is_paced() -> None:
    found = GeminiAPI().events(read(body(**thoughts())), Answer(Thinking("a b"), ToolCall("f")))
    content = [said(events(event.data))[0] for event in found if event.content]
    assert [list(part) for part in content] == [
        ["text", "thought"],
        ["text", "thought"],
        ["functionCall", "thoughtSignature"],
    ]


def test_thinking_is_shown_only_where_it_is_asked_for() -> None:
    answer = Answer(Thinking("Let me see."), "Hi")
    hidden, shown = whole(answer), whole(answer, **thoughts())
    assert [part["text"] for part in parts(hidden)] == ["Hi"]
    assert [part.get("thought") for part in parts(shown)] == [True, None]
    assert hidden["usageMetadata"]["thoughtsTokenCount"] == 3
    assert stream(answer)[0]["usageMetadata"]["thoughtsTokenCount"] == 3


@pytest.mark.parametrize(
    ("answer", "model", "signed"),
    [
        (Answer("Hi"), OLD, []),
        (Answer("Hi"), NEW, ["Hi"]),
        (Answer(), NEW, []),
        (Answer(ToolCall("f"), ToolCall("g")), OLD, []),
        (Answer(ToolCall("f"), ToolCall("g")), NEW, ["f"]),
        (Answer("Hi", ToolCall("f")), NEW, ["f"]),
        (Answer(SIGNED, "Hi", ToolCall("f"), ToolCall("g")), OLD, ["f"]),
        (Answer(SIGNED, "Hi", SIGNED, ToolCall("f")), OLD, ["Hi", "f"]),
        (Answer("Hi", SIGNED, "Ho"), NEW, ["Hi", "Ho"]),
        (Answer(SIGNED), OLD, [""]),
        (Answer(SIGNED, ToolCall("f", "{")), OLD, [""]),
        (Answer(RedactedThinking("c2ln"), "Hi"), OLD, ["Hi"]),
    ],
)
def test_which_part_is_signed(answer: Answer, model: str, signed: list[str]) -> None:
    found = [part for part in parts(whole(answer, model)) if "thoughtSignature" in part]
    assert [part.get("text", part.get("functionCall", {}).get("name")) for part in found] == signed
    for part in found:
        genuine = Signatures().judge(
            part.get("functionCall", {}).get("name", ""), part["thoughtSignature"]
        )
        assert genuine == "valid" or part["thoughtSignature"] == "c2ln"


def test_the_signature_of_a_text_comes_at_its_end() -> None:
    *_, last = said(stream(Answer(Thinking("Hm."), "Hi")))
    assert list(last) == ["text", "thoughtSignature"]
    assert last["text"] == ""
    found = said(stream(Answer(Thinking("Hm."), "Hi", Thinking("Hm."), "Ho")))
    assert ["thoughtSignature" in part for part in found] == [False, True, False, True]


def test_ids_of_calls_are_what_the_service_gives() -> None:
    answer = Answer(ToolCall("f"), ToolCall("f"), ToolCall("f", id="mine"))

    def ids(model: str, vertex: bool) -> list[str | None]:
        found = parts(whole(answer, model, vertex=vertex))
        return [part["functionCall"].get("id") for part in found]

    assert ids(OLD, vertex=False) == ids(NEW, vertex=True) == [None, None, "mine"]
    assert ids(NEW, vertex=False) == ["0a1b2c00", "0a1b2c01", "mine"]


@pytest.mark.parametrize(
    ("answer", "ending"),
    [
        (Answer("Hi"), {"finishReason": "STOP"}),
        (
            Answer(ToolCall("f")),
            {"finishReason": "STOP", "finishMessage": "Model generated function call(s)."},
        ),
        (Answer("Hi", stop_reason="length"), {"finishReason": "MAX_TOKENS"}),
        (Answer("Hi", stop_reason="RECITATION"), {"finishReason": "RECITATION"}),
        (
            Answer(ToolCall("f", "[1]")),
            {
                "finishReason": "MALFORMED_FUNCTION_CALL",
                "finishMessage": "Malformed function call: f[1]",
            },
        ),
    ],
)
def test_why_an_answer_ends(answer: Answer, ending: Dict) -> None:
    candidate = whole(answer)["candidates"][0]
    assert {k: v for k, v in candidate.items() if k.startswith("finish")} == ending


def test_a_refusal_is_text_that_is_not_safe() -> None:
    candidate = whole(Answer(Refusal("I will not.")))["candidates"][0]
    assert candidate["content"]["parts"] == [{"text": "I will not."}]
    assert candidate["finishReason"] == "SAFETY"
    assert candidate["safetyRatings"][0]["blocked"] is True


def test_a_call_whose_arguments_are_no_object_is_not_sent() -> None:
    answer = Answer(ToolCall("f", '{"a": '), stop_reason="length")
    assert said(stream(answer)) == [{"text": ""}]
    assert parts(whole(answer)) == []


def test_a_blocked_prompt_has_no_candidates() -> None:
    (chunk,) = stream(Answer(BLOCKED, usage=Usage(input_tokens=5)))
    assert chunk == whole(Answer(BLOCKED, usage=Usage(input_tokens=5)))
    assert chunk["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
    assert "candidates" not in chunk
    assert chunk["usageMetadata"]["totalTokenCount"] == 5


def test_citations() -> None:
    candidate = whole(EVERYTHING)["candidates"][0]
    assert candidate["groundingMetadata"].keys() == {"webSearchQueries", "groundingChunks"}
    sources = candidate["citationMetadata"]["citationSources"]
    assert [source["startIndex"] for source in sources] == [0, 6]
    on_vertex = whole(EVERYTHING, vertex=True)["candidates"][0]
    assert on_vertex["citationMetadata"] == {"citations": sources}


def test_log_probabilities() -> None:
    fields: Dict = {"generationConfig": {"responseLogprobs": True, "logprobs": 2}}
    result = stream(Answer("Hi there"), **fields)[1]["candidates"][0]["logprobsResult"]
    (chosen,) = result["chosenCandidates"]
    assert chosen["token"] == " there"
    assert result["topCandidates"][0]["candidates"][0] == chosen
    assert len(result["topCandidates"][0]["candidates"]) == 2
    assert "logprobsResult" not in stream(Answer("Hi"))[0]["candidates"][0]


def test_candidates_come_interleaved() -> None:
    found = stream(Answer("Hi there"), generationConfig={"candidateCount": 2})
    assert [chunk["candidates"][0]["index"] for chunk in found] == [0, 1, 0, 1, 0, 1]
    assert found[-1]["usageMetadata"]["candidatesTokenCount"] == 4


def test_usage_is_counted_where_it_is_not_told() -> None:
    chunks = stream(Answer(Thinking("one two"), "three four"), **thoughts())
    counts = [
        (usage.get("thoughtsTokenCount"), usage.get("candidatesTokenCount"))
        for usage in (chunk["usageMetadata"] for chunk in chunks)
    ]
    assert counts == [(1, None), (2, None), (2, 1), (2, 2), (2, 2)]
    usage = chunks[-1]["usageMetadata"]
    assert usage["promptTokenCount"] > 1
    assert usage["totalTokenCount"] == usage["promptTokenCount"] + 4


def test_usage_is_what_it_is_told() -> None:
    told = Usage(
        input_tokens=1,
        output_tokens=20,
        cache_read_tokens=3,
        cache_write_tokens=4,
        thinking_tokens=5,
        extra={"toolUsePromptTokenCount": 6, "serviceTier": "standard"},
    )
    assert whole(Answer("Hi", usage=told))["usageMetadata"] == {
        "promptTokenCount": 8,
        "candidatesTokenCount": 15,
        "thoughtsTokenCount": 5,
        "totalTokenCount": 34,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 8}],
        "cachedContentTokenCount": 3,
        "toolUsePromptTokenCount": 6,
        "serviceTier": "standard",
    }


def test_a_long_answer_is_streamed_word_by_word() -> None:
    call = read(body("x" * 100_000))
    answer = Answer("word " * 20_000)
    assert sum(event.content for event in GeminiAPI().events(call, answer)) == 20_001


def test_no_running_count_is_above_the_last_one() -> None:
    chunks = stream(Answer("one two three", usage=Usage(output_tokens=2)))
    counts = [chunk["usageMetadata"]["candidatesTokenCount"] for chunk in chunks]
    assert counts == [1, 2, 2, 2]


# --- streamed arguments ---

STREAMED: Dict = {"toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}}}
ARGS = {
    "city": "San Francisco, California",
    "days": [1, 2.5, {"deep": True}],
    "none": None,
    'a "b".c': "",
}


def test_arguments_are_streamed_value_by_value_where_vertex_is_asked_to() -> None:
    found = said(stream(Answer(ToolCall("f", ARGS)), vertex=True, **STREAMED))
    calls = [part["functionCall"] for part in found if "functionCall" in part]
    first, *pieces, last = calls
    assert (first, last) == ({"name": "f", "willContinue": True}, {})
    assert all(piece["willContinue"] for piece in pieces)
    values = [value for piece in pieces for value in piece["partialArgs"]]
    assert values[0] == {
        "jsonPath": "$.city",
        "stringValue": "San Francisc",
        "willContinue": True,
    }
    assert values[3] == {"jsonPath": "$.city", "stringValue": ""}
    assert values[4:] == [
        {"jsonPath": "$.days[0]", "numberValue": 1},
        {"jsonPath": "$.days[1]", "numberValue": 2.5},
        {"jsonPath": "$.days[2].deep", "boolValue": True},
        {"jsonPath": "$.none", "nullValue": "NULL_VALUE"},
        {"jsonPath": '$["a \\"b\\".c"]', "stringValue": ""},
    ]


def test_arguments_that_no_path_can_say_come_whole() -> None:
    chunks = stream(Answer(ToolCall("f", {"a": [], "b": "x"})), vertex=True, **STREAMED)
    assert parts(chunks[0])[0]["functionCall"]["args"] == {"a": [], "b": "x"}


# --- requests ---


@pytest.mark.parametrize(
    ("path", "gemini", "vertex"),
    [
        ("/v1beta/models/gemini-2.5-flash:streamGenerateContent", True, False),
        ("/v1/models/gemini-2.5-flash:generateContent", True, False),
        ("/v1alpha/tunedModels/mine:generateContent", True, False),
        ("/v1beta/models/gemini-2.5-flash:countTokens", True, False),
        ("/v1beta/models", False, False),
        ("/v2/models/gemini-2.5-flash:generateContent", False, False),
        (f"/v1/{PROJECT}publishers/google/models/gemini-2.5-pro:generateContent", False, True),
        (f"/v1beta1/{PROJECT}endpoints/123:streamGenerateContent", False, True),
        ("/v1beta1/publishers/google/models/gemini-2.5-pro:generateContent", False, True),
        (f"/v1/{PROJECT}publishers/anthropic/models/claude:streamRawPredict", False, False),
    ],
)
def test_which_paths_are_served(path: str, gemini: bool, vertex: bool) -> None:
    assert (GeminiAPI().serves(path), VertexGemini().serves(path)) == (gemini, vertex)


@pytest.mark.parametrize("path", ["/v1beta/models/m:countTokens", "/elsewhere"])
def test_other_methods_are_not_found(path: str) -> None:
    assert refusal(path=path) == (404, None)


def test_the_path_says_model_and_method() -> None:
    call = read(path="/v1beta/models/my%20model:generateContent")
    assert (call.model, call.stream) == ("my model", False)
    assert read().stream


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({"x-goog-api-key": None}, 403, "unregistered callers"),
        ({"x-goog-api-key": ""}, 403, "unregistered callers"),
        ({"x-goog-api-key": None, "authorization": "Bearer "}, 401, None),
        ({"x-goog-api-key": None, "authorization": "token"}, 401, None),
    ],
)
def test_a_key_is_required(headers: Any, status: int, message: str | None) -> None:
    found = refusal(headers=headers)
    assert found[0] == status
    assert (message or "") in (found[1] or "")
    read(headers=headers, require_key=False)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"authorization": None}, "missing required authentication"),
        ({"authorization": None, "x-goog-api-key": "AIza"}, "API keys are not supported"),
    ],
)
def test_a_project_wants_a_token(headers: Any, message: str) -> None:
    status, said_ = refusal(vertex=True, headers=headers)
    assert status == 401
    assert message in (said_ or "")


def test_a_key_may_come_in_several_ways() -> None:
    read(headers={"x-goog-api-key": None}, query="alt=sse&key=AIza")
    read(headers=BEARER)
    read(vertex=True)
    express = "/v1beta1/publishers/google/models/gemini-2.5-flash:streamGenerateContent"
    read(vertex=True, path=express, headers={"authorization": None, "x-goog-api-key": "AIza"})


@pytest.mark.parametrize("data", [b"", b"{", b"[]"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    status, message = refusal(data, validate=False)
    assert (status, (message or "")[:29]) == (400, "Invalid JSON payload received")


@pytest.mark.parametrize("validate", [True, False])
def test_what_is_nested_too_deeply_is_refused(validate: bool) -> None:
    schema: Dict = {"type": "STRING"}
    for _ in range(400):
        schema = {"type": "ARRAY", "items": schema}
    content = body(generationConfig={"responseSchema": schema})
    status, message = refusal(content, validate=validate)
    assert (status, message) == (400, "Invalid JSON payload received. Message too deep.")


def test_complaints_become_refusals() -> None:
    status, message = refusal(body(contents=...))
    assert (status, message) == (
        400,
        "* GenerateContentRequest.contents: contents is not specified\n",
    )
    read(body(contents=...), validate=False)


def asked(**fields: Any) -> Ask:
    return read(body(**fields), validate=False).ask


SCHEMA = {"type": "OBJECT", "properties": {"a": {"type": "STRING", "enum": ["x"]}}}
PLAIN_SCHEMA = {"type": "object", "properties": {"a": {"type": "string", "enum": ["x"]}}}


def test_what_is_asked() -> None:
    functions = [{"name": "f", "parameters": SCHEMA}]
    ask = asked(
        tools=[{"function_declarations": functions}, {"googleSearch": {}}],
        toolConfig={"functionCallingConfig": {"mode": "any"}},
        generationConfig={
            "thinkingConfig": {"includeThoughts": True},
            "responseMimeType": "application/json",
            "responseSchema": SCHEMA,
            "maxOutputTokens": 5,
            "stopSequences": ["X", 3],
        },
    )
    expected = Tool("f", PLAIN_SCHEMA)
    assert ask == Ask(
        prompt="Hi",
        thinking=True,
        tools=(expected,),
        forced=expected,
        schema=PLAIN_SCHEMA,
        max_tokens=5,
        stop_sequences=("X",),
    )


@pytest.mark.parametrize(
    ("calling", "tools", "forced"),
    [
        ({"mode": "ANY"}, ["f", "g"], "f"),
        ({"mode": "ANY"}, [], None),
        ({"mode": "ANY", "allowedFunctionNames": ["g"]}, ["f", "g"], "g"),
        ({"mode": "ANY", "allowedFunctionNames": ["h"]}, ["f"], "f"),
        ({"mode": "AUTO"}, ["f"], None),
        ({"mode": "NONE"}, ["f"], None),
        (None, ["f"], None),
    ],
)
def test_which_tool_is_forced(calling: Any, tools: list[str], forced: str | None) -> None:
    offered = [{"functionDeclarations": [{"name": name} for name in tools]}]
    ask = asked(tools=offered, toolConfig={"functionCallingConfig": calling})
    assert (ask.forced.name if ask.forced else None) == forced
    assert bool(ask.tools) == (bool(tools) and calling != {"mode": "NONE"})


def test_a_schema_counts_where_json_is_asked_for() -> None:
    json = {"responseMimeType": "application/json"}
    assert asked(generationConfig={**json, "responseJsonSchema": PLAIN_SCHEMA}).schema
    assert asked(generationConfig=json).schema is None
    assert asked(generationConfig={"responseSchema": SCHEMA}).schema is None


def test_the_last_turn_is_what_counts() -> None:
    answers = [{"output": "18 degrees"}, {"result": "rain"}, {"wind": 3}]
    results = [{"functionResponse": {"name": "f", "response": answer}} for answer in answers]
    ask = asked(
        contents=[
            {"role": "user", "parts": [{"text": "Old"}]},
            {"role": "model", "parts": [{"text": "Old"}]},
            {"role": "user", "parts": results},
            {"parts": [{"text": "New"}, {"inlineData": {}}]},
        ],
        **thoughts(),
    )
    assert ask.results == ("18 degrees", "rain", '{"wind":3}')
    assert ask.prompt == "New"
    assert not ask.thinking


def test_a_body_of_any_shape_asks_something() -> None:
    odd: Dict = dict.fromkeys(("contents", "tools", "toolConfig", "generationConfig", "x"), 3)
    assert read(odd, validate=False).ask == Ask()
    lists: Dict = {"contents": [3, {"parts": 3}], "labels": {"a": 3, "b": "c"}}
    assert read(lists, validate=False).body == {"contents": [{"parts": []}], "labels": {"b": "c"}}


def test_a_scripted_signature_is_known_once_it_was_sent() -> None:
    protocol = GeminiAPI()
    given = [{"text": "Hi", "thoughtSignature": "-_-_"}]  # in the other alphabet of base64
    contents = [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": given},
        {"role": "user", "parts": [{"text": "Go on"}]},
    ]
    replay = request(body(contents=contents))
    with pytest.raises(Refused, match="Corrupted thought signature"):
        protocol.read(replay, "1", require_key=True, validate=True)
    list(protocol.events(read(), Answer(Thinking("Hm", signature="+/+/"), "Hi")))
    protocol.read(replay, "1", require_key=True, validate=True)


# --- an array in place of events ---


def array_call() -> tuple[GeminiAPI, Call]:
    protocol = GeminiAPI()
    call = protocol.read(request(query=""), "77", require_key=True, validate=True)
    return protocol, call


def test_without_alt_sse_a_stream_is_an_array() -> None:
    protocol, call = array_call()
    pieces = [event.data for event in protocol.events(call, Answer("Hi there"))]
    assert [piece[:1] for piece in pieces] == [b"[", b"\n", b"\n", b"\n"]
    assert pieces[1].startswith(b"\n,\r\n{\n  ")
    chunks = msgspec.json.decode(b"".join(pieces))
    assert "".join(part["text"] for part in said(chunks)) == "Hi there"


@pytest.mark.parametrize("sent", [0, 1, 2])
def test_an_error_is_the_last_element_of_the_array(sent: int) -> None:
    protocol, call = array_call()
    found = protocol.events(call, Answer("Hi there"))
    before = [next(found).data for _ in range(sent)]
    next(found)  # what the error stands in place of
    error = protocol.error_event(protocol.failure(None, None), "77")
    *chunks, last = msgspec.json.decode(b"".join([*before, error]))
    assert len(chunks) == sent
    assert last["error"]["status"] == "UNAVAILABLE"


async def test_an_array_over_a_connection() -> None:
    path = "/v1beta/models/gemini-2.5-flash:streamGenerateContent?key=AIza"
    async with Simulator(Answer("Hi there"), faults=[None, ErrorEvent(deltas=1)]) as sim:
        ok, broken = await talk(sim, path), await talk(sim, path)
        assert sim.requests[0].query == "key=***"
    assert ok.headers["content-type"] == "application/json; charset=UTF-8"
    assert [*map(len, (ok.json, broken.json))] == [3, 2]
    assert broken.json[-1]["error"]["code"] == 503


async def talk(sim: Simulator, path: str) -> Reply:
    data = msgspec.json.encode(body())
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(data)}"
    async with await connect(sim) as connection:
        await connection.send(f"{head}\r\n\r\n".encode() + data)
        return await read_to_end(connection)


def test_an_empty_line_is_no_part_of_either_form() -> None:
    protocol, call = array_call()
    pieces = [event.data for event in protocol.events(call, Answer("Hi there"))]
    assert msgspec.json.decode(protocol.ping().join([*pieces, b""]))
    assert protocol.ping().strip() == b""


# --- heads and errors ---


def test_the_head_of_an_answer() -> None:
    protocol = GeminiAPI()
    kinds = [
        protocol.head(request(query=query), "77", 0.0, stream=streams).header("content-type")
        for query, streams in (("alt=sse", True), ("key=a", True), ("", False), ("alt=sse", False))
    ]
    assert kinds == ["text/event-stream", *["application/json; charset=UTF-8"] * 3]


@pytest.mark.parametrize(
    ("refused", "status", "message"),
    [
        (Refused(400, None), "INVALID_ARGUMENT", "Request contains an invalid argument."),
        (Refused(429, None), "RESOURCE_EXHAUSTED", "Resource has been exhausted"),
        (Refused(503, None), "UNAVAILABLE", "The model is overloaded"),
        (Refused(502, None), "INTERNAL", "Bad Gateway"),
        (Refused(418, "Tea"), "INVALID_ARGUMENT", "Tea"),
        (Refused(400, "No", "FAILED_PRECONDITION"), "FAILED_PRECONDITION", "No"),
    ],
)
def test_errors(refused: Refused, status: str, message: str) -> None:
    headers, data = GeminiAPI().error(refused, "77")
    error = msgspec.json.decode(data)["error"]
    assert (error["code"], error["status"]) == (refused.status, status)
    assert error["message"].startswith(message)
    assert dict(headers)["content-type"] == "application/json; charset=UTF-8"
    assert "details" not in error


def test_a_wrong_key_is_an_invalid_argument() -> None:
    protocol = GeminiAPI()
    failure = protocol.failure("API_KEY_INVALID", None)
    error = msgspec.json.decode(protocol.error(failure, "")[1])["error"]
    assert (error["code"], error["status"]) == (400, "INVALID_ARGUMENT")
    assert error["message"] == "API key not valid. Please pass a valid API key."
    assert error["details"][0]["reason"] == "API_KEY_INVALID"


@pytest.mark.parametrize(
    ("fields", "violation"),
    [
        ({"x": 1}, {}),
        ({"generationConfig": {"topP": "x"}}, {"field": "generation_config.top_p"}),
    ],
)
def test_a_field_that_is_wrong_is_named(fields: Dict, violation: Dict) -> None:
    status, message = refusal(body(**fields))
    error = msgspec.json.decode(GeminiAPI().error(Refused(status, message), "")[1])["error"]
    (found,) = error["details"][0]["fieldViolations"]
    assert found == {**violation, "description": message}


def test_statuses_of_error_types() -> None:
    protocol = GeminiAPI()
    words = ("RESOURCE_EXHAUSTED", "INTERNAL", "NEW_WORD")
    assert [protocol.failure(word, None).status for word in words] == [429, 500, 500]
    assert protocol.failure(None, None).status == 503
    (event,) = events(protocol.error_event(protocol.failure("INTERNAL", "No"), "77"))
    assert event == {"error": {"code": 500, "message": "No", "status": "INTERNAL"}}


def test_the_malformed_event_has_no_json() -> None:
    data = GeminiAPI().malformed().strip().removeprefix(b"data: ")
    with pytest.raises(msgspec.DecodeError):
        msgspec.json.decode(data)


# --- our own client ---


def endpoint(url: str, model: BaseAIModel, *, vertex: bool = False) -> AIModelEndpoint:
    config: Dict = {"base_url": url}
    if vertex:
        api = AIModelAPI(
            provider=AIModelAPIProviderEnum.GOOGLE_VERTEX_AI,
            credentials={"access_token": "ya29.token"},
            config=config | {"project_id": "p", "location": "europe-west1"},
        )
    else:
        api = AIModelAPI(
            provider=AIModelAPIProviderEnum.GOOGLE_AI, api_key="AIzaTest", config=config
        )
    return AIModelEndpoint(api=api, ai_model=model)


def settings(**fields: Any) -> AIModelCallConfig:
    return AIModelCallConfig(
        **{"streaming": True, "raise_errors": True, "retry_delay": 0.0, "timeout": 10.0, **fields}
    )


async def ask(at: AIModelEndpoint, messages: list[Any], **fields: Any) -> AIModelCallResponse:
    """The final response of a call."""
    async with AIModelClient(at, settings(**fields)) as client:
        response = await client.generate_async(messages=messages)
        if client.config.streaming:
            async for _, final in response.stream_generator:
                response = final or response
    return response


def ask_sync(at: AIModelEndpoint, messages: list[Any], **fields: Any) -> AIModelCallResponse:
    with AIModelClient(at, settings(**fields), is_async=False) as client:
        response = client.generate(messages=messages)
        if client.config.streaming:
            for _, final in response.stream_generator:
                response = final or response
    return response


def facts(response: AIModelCallResponse) -> Any:
    """What an answer says, without what is different each time."""
    chat = response.chat_response
    assert chat is not None
    calls = [(call.name, call.arguments) for call in chat.tools()]
    ending = [(choice.finish_reason, choice.native_finish_reason) for choice in chat.choices]
    usage = chat.usage.native if chat.usage else None
    return chat.text(), chat.reasoning(), calls, ending, usage


WEATHER = ToolDefinition.from_schema(
    "get_weather",
    {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
        "required": ["city", "days"],
    },
)
WEATHER_PROMPT = "How is the weather in Paris?"
ANSWER = Answer(
    Thinking("Let me think."),
    Text("The weather,"),
    ToolCall("get_weather", {"city": "Paris", "days": 3}),
    usage=Usage(input_tokens=11, output_tokens=22, thinking_tokens=5, cache_read_tokens=33),
)


@pytest.mark.parametrize("vertex", [False, True])
@pytest.mark.parametrize("model", [Gemini25Flash, Gemini31ProPreview])
async def test_our_client_reads_an_answer(model: BaseAIModel, vertex: bool) -> None:
    async with Simulator(ANSWER) as sim:
        at = endpoint(sim.url, model, vertex=vertex)
        fields = {"reasoning": True, "tools": [WEATHER]}
        streamed = await ask(at, ["Hi"], **fields)
        once = await ask(at, ["Hi"], streaming=False, **fields)
    text, reasoning, calls, ending, usage = facts(streamed)
    assert (text, reasoning) == ("The weather,", "Let me think.")
    assert calls == [("get_weather", {"city": "Paris", "days": 3})]
    assert ending == [("tool_calls", "STOP")]
    assert (usage["promptTokenCount"], usage["cachedContentTokenCount"]) == (44, 33)
    assert facts(once) == facts(streamed)


def test_our_sync_client_reads_the_same() -> None:
    with Simulator(ANSWER) as sim:
        at = endpoint(sim.url, Gemini25Flash)
        streamed = ask_sync(at, ["Hi"], reasoning=True)
        once = ask_sync(at, ["Hi"], reasoning=True, streaming=False)
    assert facts(streamed) == facts(once)
    assert facts(streamed)[1] == "Let me think."


@pytest.mark.parametrize("vertex", [False, True])
@pytest.mark.parametrize("model", [Gemini25Flash, Gemini31ProPreview])
async def test_a_conversation_with_a_tool_and_thinking(model: BaseAIModel, vertex: bool) -> None:
    async with Simulator() as sim:
        at = endpoint(sim.url, model, vertex=vertex)
        fields = {"reasoning": True, "tools": [WEATHER]}
        first = (await ask(at, [WEATHER_PROMPT], **fields)).chat_response
        assert first is not None
        (call,) = first.tools()
        assert call.arguments == {"city": "example city", "days": 3}
        result = ToolCallResult(call_id=call.call_id, output="18 degrees")
        second = await ask(at, [Prompt(text=WEATHER_PROMPT), first, result], **fields)
        assert "18 degrees" in facts(second)[0]
        sent = sim.requests[-1].json["contents"][1]["parts"]
        assert next(part for part in sent if "functionCall" in part)["thoughtSignature"]


async def test_structured_output() -> None:
    schema = {"type": "object", "properties": {"answer": {"type": "integer"}}}
    async with Simulator() as sim:
        output = StructuredOutputConfig(output_schema=schema)
        at = endpoint(sim.url, Gemini25Flash)
        response = await ask(at, ["Hi"], structured_output=output)
    assert response.chat_response is not None
    assert response.chat_response.structured() == {"answer": 1}


async def test_streamed_arguments_are_put_together() -> None:
    async with Simulator(Answer(ToolCall("f", ARGS))) as sim:
        at = endpoint(sim.url, Gemini31ProPreview, vertex=True)
        tool = ToolDefinition.from_schema("f", {"type": "object", "properties": {}})
        options = {"tool_config": STREAMED["toolConfig"]}
        response = await ask(at, ["Hi"], tools=[tool], options=options)
    assert facts(response)[2] == [("f", ARGS)]


async def test_a_blocked_prompt_is_filtered_content() -> None:
    async with Simulator([Answer(BLOCKED), Answer(Refusal("No."))]) as sim:
        at = endpoint(sim.url, Gemini25Flash)
        blocked, refused = await ask(at, ["Hi"]), await ask(at, ["Hi"])
    assert facts(blocked)[3] == [("content_filter", "PROHIBITED_CONTENT")]
    assert facts(refused)[3] == [("content_filter", "SAFETY")]


def test_in_test_mode_no_connection_is_made() -> None:
    at = endpoint("http://nowhere.invalid", Gemini25Flash)
    response = ask_sync(at, ["Hi"], test_mode=True)
    assert facts(response)[0].startswith('You asked "Hi"')
    once = ask_sync(at, ["Hi"], test_mode=True, streaming=False)
    assert facts(once) == facts(response)


async def error_after(fault: Any, **fields: Any) -> tuple[str, Dict]:
    """The text before an error, and the error's facts."""
    async with Simulator(Answer("one two three"), faults=fault) as sim:
        at = endpoint(sim.url, Gemini25Flash)
        config = settings(raise_errors=False, retries=1, **fields)
        async with AIModelClient(at, config) as client:
            response = await client.generate_async(prompt="Hi")
            items = [chunk async for chunk, _ in response.stream_generator]
            chat = response.snapshot().chat_response
    data: Any = items[-1].data if items[-1] else None
    return (chat.text() if chat else "") or "", {"message": data.message, **data.details}


async def test_an_error_instead_of_an_answer() -> None:
    text, error = await error_after(Respond(429))
    assert (text, error["http_status"]) == ("", 429)
    assert "(RESOURCE_EXHAUSTED): Resource has been exhausted" in error["message"]


async def test_an_error_in_the_stream() -> None:
    text, error = await error_after(ErrorEvent(deltas=2))
    assert (text, error["http_status"]) == ("one two", 503)
    assert "(UNAVAILABLE): The model is overloaded" in error["message"]


async def test_a_malformed_event() -> None:
    text, error = await error_after(Malformed(deltas=1))
    assert (text, error["error_type"]) == ("one", "ProtocolError")


async def test_empty_lines_are_no_content() -> None:
    fault = OnlyPings(deltas=1, interval=0.005)
    text, error = await error_after(fault, content_idle_timeout=0.05)
    assert (text, error["error_type"]) == ("one", "ContentIdleTimeout")


async def test_many_streams_at_once_share_nothing() -> None:
    async with Simulator() as sim:
        at = endpoint(sim.url, Gemini25Flash)
        found: list[str] = []

        async def one(prompt: str) -> None:
            found.append(facts(await ask(at, [prompt]))[0][:14])

        async with anyio.create_task_group() as tasks:
            for prompt in ("a", "b", "c"):
                tasks.start_soon(one, prompt)
    assert sorted(found) == [f'You asked "{prompt}",'[:14] for prompt in ("a", "b", "c")]


async def test_answers_from_memory_say_the_same() -> None:
    sim = Simulator(Answer("Hi"))
    async with httpx.AsyncClient(transport=sim.transport()) as client:
        url = "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash"
        response = await client.post(f"{url}:generateContent", headers=HEADERS, json=body())
    assert parts(response.json()) == [{"text": "Hi"}]
