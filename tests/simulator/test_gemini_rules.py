"""What the Gemini service refuses, and that it refuses nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from corpus import needs_corpus, streams
from dialects.test_gemini_request import HISTORIES, MODELS, SCHEMA, VERTEX, build, tool

from dhenara_stream.dialects.gemini import Quirks
from dhenara_stream.errors import ConfigError
from dhenara_stream.simulator.gemini_fields import canonical
from dhenara_stream.simulator.gemini_rules import complaint
from dhenara_stream.simulator.signatures import Signatures
from dhenara_stream.types.genai.dhenara.request import StructuredOutputConfig, WebSearchHostedTool

Dict = dict[str, Any]
FLASH, PRO, LITE = "gemini-2.5-flash", "gemini-2.5-pro", "gemini-2.5-flash-lite"
FLASH2, FLASH3, PRO3, PRO31 = (
    "gemini-2.0-flash-001",
    "gemini-3-flash-preview",
    "gemini-3-pro-preview",
    "gemini-3.1-pro-preview",
)
TEXT = {"text": "Hi"}
CALL = {"functionCall": {"name": "f", "args": {}}}
SIGNED_CALL = {**CALL, "thoughtSignature": Signatures().sign("f", "Hm")}
SIGNED_TEXT = {**TEXT, "thoughtSignature": Signatures().sign("", "Hm")}
RESULT = {"functionResponse": {"name": "f", "response": {"output": 1}}}
FUNCTION = {"name": "f", "description": "does it"}


def judge(fields: Dict, model: str = FLASH, *, vertex: bool = False) -> str | None:
    sent = {"contents": [user(TEXT)], **fields}
    body = {name: value for name, value in sent.items() if value is not ...}
    return complaint(body, model=model, vertex=vertex, judge=Signatures().judge)


def user(*parts: Any) -> Dict:
    return {"role": "user", "parts": list(parts)}


def model_(*parts: Any) -> Dict:
    return {"role": "model", "parts": list(parts)}


def contents(*turns: Any) -> Dict:
    return {"contents": list(turns)}


def first(*parts: Any) -> Dict:
    return contents(user(*parts))


def config(**fields: Any) -> Dict:
    return {"generationConfig": fields}


def thinking(**fields: Any) -> Dict:
    return config(thinkingConfig=fields)


def functions(*declarations: Any) -> Dict:
    return {"tools": [{"functionDeclarations": list(declarations)}]}


def parameters(**schema: Any) -> Dict:
    return functions({**FUNCTION, "parameters": {"type": "OBJECT", "properties": schema}})


def json_parameters(**schema: Any) -> Dict:
    return functions({**FUNCTION, "parametersJsonSchema": {"type": "object", **schema}})


def calling(mode: str, *allowed: str) -> Dict:
    named: Dict = {"mode": mode} | ({"allowedFunctionNames": list(allowed)} if allowed else {})
    return {"toolConfig": {"functionCallingConfig": named}}


def inline(mime: str, data: str = "aGk=") -> Dict:
    return first({"inlineData": {"mimeType": mime, "data": data}}, TEXT)


def loop(*parts: Any) -> Dict:
    """A tool's turn that is under way."""
    return contents(user(TEXT), model_(*parts), user(RESULT))


JSON = {"responseMimeType": "application/json"}
MIXED = {"tools": [{"functionDeclarations": [FUNCTION]}, {"googleSearch": {}}]}
TOLD = {**MIXED, "toolConfig": {"includeServerSideToolInvocations": True}}
SAFE = {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}

# Bodies, each with the model it is for.
ACCEPTED: dict[str, tuple[str, Dict]] = {
    "plain": (FLASH, {}),
    "no role": (FLASH, contents({"parts": [TEXT]})),
    "one content, one part, not in lists": (FLASH, {"contents": {"parts": TEXT}}),
    "a system instruction": (FLASH, {"systemInstruction": {"parts": [TEXT]}}),
    "snake case": (
        FLASH,
        {
            "system_instruction": {"parts": {"text": "x"}},
            "generation_config": {"max_output_tokens": 5, "thinking_config": {}},
            "tools": [{"function_declarations": [FUNCTION]}],
            "safety_settings": SAFE,
        },
    ),
    "null says nothing": (FLASH, {"tools": None, **config(topK=None)}),
    "numbers as strings": (FLASH, config(temperature="0.5", maxOutputTokens="10")),
    "whole numbers with a point": (FLASH, config(maxOutputTokens=10.0)),
    "labels": (FLASH, {"labels": {"team": "a"}}),
    "sampling": (FLASH, config(temperature=2, topP=1, topK=40, seed=-1)),
    "five stop sequences": (FLASH, config(stopSequences=list("abcde"))),
    "log probabilities": (FLASH, config(responseLogprobs=True, logprobs=20)),
    "candidates": (FLASH, config(candidateCount=8)),
    "penalties of an old model": (FLASH2, config(presencePenalty=1)),
    "penalties that say nothing": (FLASH, config(presencePenalty=0)),
    "an image": (FLASH, inline("image/png")),
    "base64 of the other alphabet, without padding": (FLASH, inline("image/png", "-_8")),
    "a document": (FLASH, inline("application/pdf")),
    "audio": (FLASH, inline("audio/wav")),
    "a file": (FLASH, first({"fileData": {"mimeType": "video/mp4", "fileUri": "gs://x"}})),
    "a file of an unknown type": (FLASH, first({"fileData": {"fileUri": "https://x"}})),
    "a chat": (FLASH, contents(user(TEXT), model_(TEXT), user(TEXT))),
    "a prefill": (FLASH, contents(user(TEXT), model_(TEXT))),
    "the model first": (FLASH, contents(model_(TEXT), user(TEXT))),
    "a call and its result": (FLASH, loop(CALL)),
    "text and calls": (
        FLASH,
        contents(user(TEXT), model_(TEXT, CALL, CALL), user(RESULT, RESULT, TEXT)),
    ),
    "results of the role of old": (
        FLASH,
        contents(user(TEXT), model_(CALL), {"role": "function", "parts": [RESULT]}, model_(CALL),
                 user(RESULT)),
    ),
    "signed parts": (FLASH, contents(user(TEXT), model_(SIGNED_TEXT), user(TEXT))),
    "a signature alone": (
        FLASH,
        contents(user(TEXT), model_({"thoughtSignature": Signatures().sign("", "")}), user(TEXT)),
    ),
    "an empty signature": (FLASH, loop({**CALL, "thoughtSignature": ""})),
    "signed calls": (
        PRO3,
        contents(user(TEXT), model_(SIGNED_CALL, CALL), user(RESULT, RESULT)),
    ),
    "a signature that skips": (
        PRO3,
        loop({**CALL, "thoughtSignature": "skip_thought_signature_validator"}),
    ),
    "calls of earlier turns": (
        PRO3,
        contents(user(TEXT), model_(CALL), user(RESULT), model_(TEXT), user(TEXT)),
    ),
    "calls without signatures, of an unknown model": ("my-model", loop(CALL)),
    "code and its result": (
        FLASH,
        contents(
            user(TEXT),
            model_(
                {"executableCode": {"language": "PYTHON", "code": "1"}},
                {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
            ),
            user(TEXT),
        ),
    ),
    "tools of the service's own": (FLASH, {"tools": [{"googleSearch": {}}, {"urlContext": {}}]}),
    "functions": (FLASH, functions(FUNCTION, {"name": "g.h:i-1"})),
    "functions and tools of its own": (FLASH3, TOLD),
    "parameters": (
        FLASH,
        parameters(
            a={"type": "string", "enum": ["x"], "format": "enum", "nullable": True},
            b={"type": "ARRAY", "items": {"type": "INTEGER", "format": "int32"}, "minItems": "2"},
            c={"anyOf": [{"type": "NUMBER"}, {"type": "NULL"}]},
        ),
    ),
    "no parameters": (FLASH, parameters()),
    "a JSON schema": (
        FLASH,
        json_parameters(
            properties={"a": {"$ref": "#/$defs/A"}, "b": {"type": ["string", "null"]}},
            additionalProperties={"anyOf": [{"type": "integer"}, {"$ref": "#"}]},
            **{"$defs": {"A": {"enum": ["x", 1]}}},
        ),
    ),
    "a forced function": (FLASH, functions(FUNCTION) | calling("ANY", "f")),
    "validated functions": (FLASH, functions(FUNCTION) | calling("validated", "f")),
    "no functions at all": (FLASH, calling("NONE")),
    "JSON": (FLASH, config(**JSON)),
    "JSON by a schema": (FLASH, config(**JSON, responseSchema={"type": "OBJECT"})),
    "JSON by a JSON schema": (FLASH, config(**JSON, responseJsonSchema={"type": "object"})),
    "an enum": (
        FLASH,
        config(
            responseMimeType="text/x.enum", responseSchema={"type": "STRING", "enum": ["a", "b"]}
        ),
    ),
    "JSON and functions": (FLASH3, config(**JSON) | functions(FUNCTION)),
    "thoughts": (FLASH, thinking(includeThoughts=True, thinkingBudget=-1)),
    "no thinking": (FLASH, thinking(thinkingBudget=0)),
    "no thinking of a model that cannot": (FLASH2, thinking(thinkingBudget=0)),
    "an empty thinking config": (FLASH2, thinking()),
    "the least budget": (PRO, thinking(thinkingBudget=128)),
    "a level": (PRO31, thinking(thinkingLevel="medium")),
    "the least level": (FLASH3, thinking(thinkingLevel="MINIMAL")),
    "a budget for a model of levels": (FLASH3, thinking(thinkingBudget=1000)),
    "anything of an unknown model": (
        "gemini-flash-latest",
        thinking(thinkingLevel="XHIGH") | config(candidateCount=2, maxOutputTokens=10**6),
    ),
    "a model that is not for chat": (
        "gemini-2.0-flash-preview-image-generation",
        config(responseModalities=["TEXT", "IMAGE"], maxOutputTokens=10_000),
    ),
    "safety settings": (FLASH, {"safetySettings": [SAFE]}),
    "cached content": (FLASH, {"cachedContent": "cachedContents/x"}),
}  # fmt: skip

VERTEX_ACCEPTED: dict[str, tuple[str, Dict]] = {
    "arguments in pieces": (
        PRO3,
        functions(FUNCTION)
        | {"toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}}},
    ),
    "a search that leaves out": (FLASH, {"tools": [{"googleSearch": {"excludeDomains": ["x"]}}]}),
    "references": (
        FLASH,
        parameters(a={"ref": "#/defs/A", "defs": {"A": {"type": "STRING"}}}),
    ),
    "a model's armor": (FLASH, {"modelArmorConfig": {}}),
}

UNKNOWN = "Invalid JSON payload received. Unknown name "
INVALID = "* GenerateContentRequest."
REFUSED: dict[str, tuple[str, Dict, str]] = {
    "an unknown field": (FLASH, {"x": 1}, f'{UNKNOWN}"x": Cannot find field.'),
    "an unknown field within": (
        FLASH,
        config(maxTokens=1),
        f"{UNKNOWN}\"maxTokens\" at 'generation_config': Cannot find field.",
    ),
    "a field of Vertex AI": (FLASH, {"modelArmorConfig": {}}, "Cannot find field."),
    "a keyword of JSON schema": (
        FLASH,
        parameters(a={"type": "OBJECT", "additionalProperties": False}),
        ("Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters"
        ".properties[0].value'"),
    ),
    "a list of types": (
        FLASH,
        parameters(a={"type": ["string", "null"]}),
        ("Unknown name \"type\" at 'tools[0].function_declarations[0].parameters.properties[0]"
        ".value': Proto field is not repeating, cannot start list."),
    ),
    "a list where there is one": (FLASH, {"toolConfig": []}, 'Unknown name "tool_config": Proto'),
    "no message": (
        FLASH,
        {"systemInstruction": "Be brief."},
        ("Invalid value at 'system_instruction' (type.googleapis.com/google.ai.generativelanguage"
        '.v1beta.Content), "Be brief."'),
    ),
    "no map": (FLASH, {"labels": "x"}, "Invalid value at 'labels' (Map)"),
    "no text": (FLASH, first({"text": 3}), "'contents[0].parts[0].text' (TYPE_STRING), 3"),
    "no number": (FLASH, config(topP="x"), "'generation_config.top_p' (TYPE_FLOAT), \"x\""),
    "no finite number": (FLASH, config(topP="1e999"), "(TYPE_FLOAT)"),
    "no number, a truth": (FLASH, config(topP=True), "(TYPE_FLOAT), true"),
    "no whole number": (FLASH, config(maxOutputTokens=1.5), "(TYPE_INT32), 1.5"),
    "no truth": (FLASH, thinking(includeThoughts="yes"), "(TYPE_BOOL), \"yes\""),
    "no object": (
        FLASH,
        loop({"functionCall": {"name": "f", "args": "{}"}}),
        "(type.googleapis.com/google.protobuf.Struct)",
    ),
    "no value of an enum": (FLASH, calling("SOME"), "v1beta.FunctionCallingConfig.Mode), \"SOME\""),
    "no base64": (FLASH, inline("image/png", "%%%"), "(TYPE_BYTES), Base64 decoding failed for"),
    "base64 that is cut": (FLASH, inline("image/png", "aGk=a"), "Base64 decoding failed"),
    "bytes that are none": (FLASH, first({"inlineData": {"data": 3}}), "(TYPE_BYTES), 3"),
    "no contents": (FLASH, {"contents": ...}, f"{INVALID}contents: contents is not specified"),
    "empty contents": (FLASH, contents(), "contents is not specified"),
    "no parts": (FLASH, first(), f"{INVALID}contents[0].parts: contents.parts must not be empty."),
    "a role of others": (
        FLASH,
        contents({"role": "system", "parts": [TEXT]}),
        "Please use a valid role: user, model.",
    ),
    "an empty part": (FLASH, first({}), "contents[0].parts[0].data: required oneof field 'data'"),
    "two parts in one": (
        FLASH,
        first({**TEXT, **RESULT}),
        ("Invalid value at 'contents[0].parts[0]' (oneof), oneof field 'data' is already set. "
        "Cannot set 'functionResponse'"),
    ),
    "a call without a name": (
        FLASH,
        loop({"functionCall": {"args": {}}}),
        "contents[1].parts[0].function_call.name: Name cannot be empty.",
    ),
    "a result without a name": (
        FLASH,
        first({"functionResponse": {"response": {}}}),
        "function_response.name: Name cannot be empty.",
    ),
    "media without a type": (
        FLASH,
        first({"inlineData": {"data": "aGk="}}),
        "inline_data.mime_type: mime_type must be specified",
    ),
    "a gif": (FLASH, inline("image/gif"), "Unsupported MIME type: image/gif"),
    "a file of bytes": (
        FLASH,
        first({"fileData": {"mimeType": "application/octet-stream", "fileUri": "x"}}),
        "Unsupported MIME type: application/octet-stream",
    ),
    "an empty image": (FLASH, inline("image/png", ""), "Unable to process input image."),
    "an empty document": (FLASH, inline("application/pdf", ""), "data must not be empty"),
    "a call that nobody asked for": (
        FLASH,
        contents(model_(CALL), user(RESULT)),
        "function call turn comes immediately after a user turn or after a function response turn",
    ),
    "a call after the model": (
        FLASH,
        contents(user(TEXT), model_(TEXT), model_(CALL), user(RESULT)),
        "function call turn comes immediately after a user turn",
    ),
    "a call without a result": (
        FLASH,
        contents(user(TEXT), model_(CALL)),
        "number of function response parts is equal to the number of function call parts",
    ),
    "too few results": (
        FLASH,
        contents(user(TEXT), model_(CALL, CALL), user(RESULT)),
        "number of function response parts",
    ),
    "results apart": (
        FLASH,
        contents(user(TEXT), model_(CALL, CALL), user(RESULT), user(RESULT)),
        "number of function response parts",
    ),
    "a result of nothing": (
        FLASH,
        contents(user(TEXT), model_(TEXT), user(RESULT)),
        "function response turn comes immediately after a function call turn",
    ),
    "a signature of elsewhere": (
        FLASH,
        loop({**CALL, "thoughtSignature": "c2ln"}),
        "Corrupted thought signature.",
    ),
    "a signature of another call": (
        FLASH,
        loop({"functionCall": {"name": "g"}, "thoughtSignature": SIGNED_CALL["thoughtSignature"]}),
        "Corrupted thought signature.",
    ),
    "a signature that is no base64": (
        FLASH,
        loop({**CALL, "thoughtSignature": "%"}),
        "'contents[1].parts[0].thought_signature' (TYPE_BYTES), Base64 decoding failed",
    ),
    "a call without a signature": (
        PRO3,
        loop(CALL),
        ("Function call is missing a thought_signature in functionCall parts. This is required for "
        "tools to work correctly, and missing thought_signature may lead to degraded model "
        "performance. Additional data, function call `default_api:f` , position 2."),
    ),
    "a later call without one": (
        PRO3,
        contents(user(TEXT), model_(SIGNED_CALL), user(RESULT), model_(CALL), user(RESULT)),
        "position 4",
    ),
    "a call without one, in a conversation of nothing else": (
        FLASH3,
        contents({"role": "function", "parts": [TEXT]}, model_(CALL), user(RESULT)),
        "missing a thought_signature",
    ),
    "six stop sequences": (FLASH, config(stopSequences=list("abcdef")), "at most 5 stop sequences"),
    "an empty stop sequence": (FLASH, config(stopSequences=[""]), "must not be empty"),
    "hot": (FLASH, config(temperature=2.1), "temperature must be in the range [0, 2]."),
    "no tokens": (FLASH, config(maxOutputTokens=0), "max_output_tokens must be at least 1."),
    "too many tokens": (
        FLASH,
        config(maxOutputTokens=65_537),
        "max_output_tokens must be in the range [1, 65536].",
    ),
    "too many tokens of an old model": (FLASH2, config(maxOutputTokens=8193), "[1, 8192]"),
    "log probabilities that are not asked for": (
        FLASH,
        config(logprobs=2),
        "can only be set when response_logprobs is true",
    ),
    "several candidates": (PRO3, config(candidateCount=2), "Multiple candidates is not enabled"),
    "a penalty": (FLASH, config(frequencyPenalty=1), "Penalty is not enabled for this model"),
    "a format of output": (
        FLASH,
        config(responseMimeType="text/html"),
        "allowed mimetypes are `text/plain`, `application/json`",
    ),
    "a schema without JSON": (
        FLASH,
        config(responseSchema={"type": "STRING"}),
        "response_schema: only allowed when response_mime_type is",
    ),
    "two schemas": (
        FLASH,
        config(**JSON, responseSchema={"type": "STRING"}, responseJsonSchema={}),
        "only one of response_schema and response_json_schema",
    ),
    "a level and a budget": (
        PRO3,
        thinking(thinkingLevel="LOW", thinkingBudget=1),
        "You can only set only one of thinking budget and thinking level.",
    ),
    "thoughts without thinking": (
        FLASH,
        thinking(includeThoughts=True, thinkingBudget=0),
        "Thinking_config.include_thoughts is only enabled when thinking is enabled.",
    ),
    "thinking of a model that cannot": (
        FLASH2,
        thinking(includeThoughts=True),
        "thinking is not supported by this model",
    ),
    "a level of an old model": (
        FLASH,
        thinking(thinkingLevel="LOW"),
        "Thinking level is not supported for this model.",
    ),
    "a level that it lacks": (
        PRO3,
        thinking(thinkingLevel="MEDIUM"),
        "Thinking level MEDIUM is not supported for this model.",
    ),
    "no thinking of a model that must": (
        PRO,
        thinking(thinkingBudget=0),
        "Budget 0 is invalid. This model only works in thinking mode.",
    ),
    "a budget that is too large": (
        FLASH,
        thinking(thinkingBudget=30_000),
        "The thinking budget 30000 is invalid. Please choose a value between 1 and 24576.",
    ),
    "a budget that is too small": (LITE, thinking(thinkingBudget=100), "between 512 and 24576"),
    "a function's name": (FLASH, functions({"name": "1f"}), "Invalid function name. Must start"),
    "a function without one": (FLASH, functions({}), "function_declarations[0].name: Invalid"),
    "two of a name": (
        FLASH,
        functions(FUNCTION, FUNCTION),
        "Duplicate function declaration found: f",
    ),
    "too many functions": (
        FLASH,
        functions(*({"name": f"f{number}"} for number in range(513))),
        "At most 512 function declarations can be specified.",
    ),
    "parameters twice": (
        FLASH,
        functions({**FUNCTION, "parameters": {"type": "OBJECT"}, "parametersJsonSchema": {}}),
        "only one of parameters and parameters_json_schema can be specified",
    ),
    "parameters that are no object": (
        FLASH,
        functions({**FUNCTION, "parameters": {"type": "STRING"}}),
        "parameters: schema should be of type OBJECT",
    ),
    "a property without a type": (
        FLASH,
        parameters(a={"description": "x"}),
        "parameters.properties[a].type: must be specified when not using one_of",
    ),
    "an alternative without a type": (FLASH, parameters(a={"anyOf": [{}]}), "any_of[0].type"),
    "an array of nothing": (
        FLASH,
        parameters(a={"type": "ARRAY", "items": {"type": "ARRAY"}}),
        "properties[a].items.items: missing field.",
    ),
    "a required property that is not there": (
        FLASH,
        functions({**FUNCTION, "parameters": {"type": "OBJECT", "required": ["a"]}}),
        "parameters.required[0]: property is not defined",
    ),
    "an enum of numbers": (
        FLASH,
        parameters(a={"type": "INTEGER", "enum": ["1"]}),
        "enum: only allowed for STRING type",
    ),
    "an empty value": (
        FLASH,
        parameters(a={"type": "STRING", "enum": ["a", ""]}),
        "enum[1]: cannot be empty",
    ),
    "a format of texts": (
        FLASH,
        parameters(a={"type": "STRING", "format": "uri"}),
        "only 'enum' and 'date-time' are supported for STRING type",
    ),
    "a JSON schema that is none": (
        FLASH,
        functions({**FUNCTION, "parametersJsonSchema": True}),
        "parameters_json_schema: must be a JSON schema, got true",
    ),
    "a type that JSON lacks": (
        FLASH,
        json_parameters(properties={"a": {"type": "date"}}),
        'unknown type "date"',
    ),
    "a reference to nothing": (
        FLASH,
        json_parameters(properties={"a": {"$ref": "#/$defs/A"}}),
        'reference "#/$defs/A" is not defined',
    ),
    "an enum of truths": (
        FLASH,
        json_parameters(properties={"a": {"enum": [True]}}),
        "enum values must be strings or numbers",
    ),
    "a config without functions": (
        FLASH,
        calling("ANY"),
        "Function calling config is set without function_declarations.",
    ),
    "names that are not forced": (
        FLASH,
        functions(FUNCTION) | calling("AUTO", "f"),
        "only allowed when mode is ANY or VALIDATED, but it is AUTO",
    ),
    "a forced function that is not there": (
        FLASH,
        functions(FUNCTION) | calling("ANY", "g"),
        "allowed_function_names[0]: function `g` is not in function_declarations",
    ),
    "functions and a search, of old": (
        FLASH,
        MIXED,
        "Tool use with function calling is unsupported",
    ),
    "functions and a search": (
        FLASH3,
        MIXED,
        "Please enable tool_config.include_server_side_tool_invocations",
    ),
    "tools that are to be told of, of old": (
        FLASH,
        TOLD | functions(FUNCTION),
        "Tool call context circulation is not enabled",
    ),
    "JSON and functions, of old": (
        FLASH,
        config(**JSON) | functions(FUNCTION),
        "Function calling with a response mime type: 'application/json' is unsupported",
    ),
    "JSON and a search, of old": (
        FLASH,
        config(**JSON) | {"tools": [{"googleSearch": {}}]},
        "Tool use with a response mime type: 'application/json' is unsupported",
    ),
    "a threshold of nothing": (
        FLASH,
        {"safetySettings": [{"threshold": "OFF"}]},
        "safety_settings[0].category: category must be specified.",
    ),
    "no threshold": (
        FLASH,
        {"safetySettings": [{**SAFE, "threshold": "HARM_BLOCK_THRESHOLD_UNSPECIFIED"}]},
        "threshold must be specified",
    ),
    "a category twice": (
        FLASH,
        {"safetySettings": [SAFE, SAFE]},
        "element with repeated safety setting category: HARM_CATEGORY_HARASSMENT",
    ),
    "cached content and tools": (
        FLASH,
        functions(FUNCTION) | {"cachedContent": "x"},
        "CachedContent can not be used with GenerateContent request setting system_instruction",
    ),
}  # fmt: skip

VERTEX_REFUSED: dict[str, tuple[str, Dict, str]] = {
    "no contents": (
        FLASH,
        contents(),
        "The GenerateContentRequest proto is invalid:\n  * contents: [FIELD_INVALID] contents is",
    ),
    "no message": (FLASH, {"toolConfig": 3}, "google.cloud.aiplatform.v1beta1.ToolConfig), 3"),
    "a field of the Gemini API": (FLASH, {"store": True}, f'{UNKNOWN}"store": Cannot find field.'),
    "hot": (
        FLASH,
        config(temperature=3),
        ("Unable to submit request because it has a temperature value of 3 but the supported range "
        "is from 0 (inclusive) to 2.0001 (exclusive). Update the value and try again."),
    ),
    "unlikely": (FLASH, config(topP=1.5), ("topP value of 1.5 but the supported range is from 0 "
                 "(inclusive) to 1 (inclusive)")),
    "too many tokens": (
        FLASH,
        config(maxOutputTokens=70_000),
        ("maxOutputTokens value of 70000 but the supported range is from 1 (inclusive) to 65537 "
        "(exclusive)"),
    ),
    "a call without a signature": (
        PRO3,
        loop(CALL),
        "function call `f` in the 2. content block is missing a `thought_signature`",
    ),
    "a signature of elsewhere": (
        FLASH,
        loop({**CALL, "thoughtSignature": "c2ln"}),
        "Thought signature is not valid.",
    ),
    "functions and a search": (
        FLASH3,
        MIXED,
        "Multiple tools are supported only when they are all search tools.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ACCEPTED)
def test_what_is_right_is_accepted(name: str) -> None:
    model, fields = ACCEPTED[name]
    assert judge(fields, model) is None


@pytest.mark.parametrize("name", VERTEX_ACCEPTED)
def test_what_is_right_is_accepted_by_vertex(name: str) -> None:
    model, fields = VERTEX_ACCEPTED[name]
    assert judge(fields, model, vertex=True) is None


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_wrong_is_refused(name: str) -> None:
    model, fields, message = REFUSED[name]
    assert message in (judge(fields, model) or "nothing")


@pytest.mark.parametrize("name", VERTEX_REFUSED)
def test_what_is_wrong_is_refused_by_vertex(name: str) -> None:
    model, fields, message = VERTEX_REFUSED[name]
    assert message in (judge(fields, model, vertex=True) or "nothing")


def test_all_spellings_of_a_body_are_one() -> None:
    sent = {
        "generation_config": {"topK": "40", "maxOutputTokens": 5.0, "seed": None},
        "contents": {"parts": {"inline_data": {"mime_type": "image/png", "data": "aGk"}}},
        "tools": {"functionDeclarations": {"name": "f", "parameters": {"type": "object"}}},
    }
    assert canonical(sent, vertex=False) == {
        "generationConfig": {"topK": 40.0, "maxOutputTokens": 5},
        "contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "aGk"}}]}],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "OBJECT"}}]}],
    }


def genuine(_sealed: str, _signature: str) -> Any:
    """Takes all signatures: those in recordings and histories are of others."""
    return "valid"


OUTPUT = StructuredOutputConfig(output_schema=SCHEMA)
CONFIGS: dict[str, Dict] = {
    "plain": {},
    "reasoning": {"reasoning": True, "max_output_tokens": 4000},
    "tools": {"tools": [tool(), tool("find", SCHEMA, strict=True)]},
    "a search": {"hosted_tools": [WebSearchHostedTool()]},
    "a search and tools": {"hosted_tools": [WebSearchHostedTool()], "tools": [tool()]},
    "output": {"structured_output": OUTPUT},
    "output and tools": {"structured_output": OUTPUT, "tools": [tool()]},
    "options": {"options": {"temperature": 1, "stop": list("abcde"), "logprobs": 3}},
    "candidates": {"options": {"n": 2}},
}


@pytest.mark.parametrize("quirks", [Quirks(), VERTEX], ids=["gemini", "vertex"])
@pytest.mark.parametrize("model", MODELS)
def test_what_our_client_asks_is_accepted(model: str, quirks: Quirks) -> None:
    asked: dict[tuple[str, str], str | None] = {}
    pairs = [*((history, "tools") for history in HISTORIES), *(("a chat", it) for it in CONFIGS)]
    for history, name in pairs:
        try:
            sent = build(
                model=MODELS[model], messages=HISTORIES[history], quirks=quirks, **CONFIGS[name]
            )
        except ConfigError:  # the model cannot do it, and our client knows
            continue
        vertex = quirks is VERTEX
        said = complaint(dict(sent.body), model=model, vertex=vertex, judge=genuine)
        asked[history, name] = said
    assert len(asked) >= 10
    assert set(asked.values()) == {None}


# The recording kept a mark in place of an image's data.
ELIDED = 'Base64 decoding failed for "<elided'


@needs_corpus
def test_what_the_service_took_is_accepted() -> None:
    seen, refused = 0, dict[str, str]()
    for recording in streams("gemini"):
        if recording.request is None or recording.status != 200:
            continue
        seen += 1
        said = complaint(
            recording.request,
            model=recording.meta["model"],
            vertex="aiplatform" in recording.meta["server"],
            judge=genuine,
        )
        refused |= {recording.id: said} if said and ELIDED not in said else {}
    assert seen == 287
    assert refused == {}
