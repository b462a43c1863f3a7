"""The fields of a Gemini request, and how the service reads JSON into them (wire.md 5.1).

The service's messages are protocol buffers: a field may be spelled in camel or in snake case, null
says nothing, one value stands for a list of it, numbers may be strings, values of an enum may be
in lower case. Whatever was sent, :func:`canonical` gives it in one form: camel case, lists,
numbers, upper case. What does not fit is refused in the service's words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from ._json import encode, is_array, is_object

__all__ = ["FieldError", "canonical", "is_base64", "snake", "standard_base64"]

_Fields = Mapping[str, str]

# A field's kind: a scalar, an enum, another message; "[]" before it for a list, "{}" for a map.
_ENUMS: Mapping[str, frozenset[str]] = {
    "Type": frozenset(
        (
            *("STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL"),
            "TYPE_UNSPECIFIED",
        )
    ),
    "FunctionCallingConfig.Mode": frozenset(
        ("AUTO", "ANY", "NONE", "VALIDATED", "MODE_UNSPECIFIED")
    ),
    "ThinkingConfig.ThinkingLevel": frozenset(
        ("MINIMAL", "LOW", "MEDIUM", "HIGH", "XHIGH", "THINKING_LEVEL_UNSPECIFIED")
    ),
    "GenerationConfig.Modality": frozenset(
        ("TEXT", "IMAGE", "AUDIO", "VIDEO", "MODALITY_UNSPECIFIED")
    ),
    "HarmCategory": frozenset(
        "HARM_CATEGORY_" + name
        for name in (
            *("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "TOXICITY"),
            *("CIVIC_INTEGRITY", "DEROGATORY", "VIOLENCE", "SEXUAL", "MEDICAL", "DANGEROUS"),
            *("IMAGE_HATE", "IMAGE_DANGEROUS_CONTENT", "IMAGE_HARASSMENT"),
            *("IMAGE_SEXUALLY_EXPLICIT", "JAILBREAK", "UNSPECIFIED"),
        )
    ),
    "SafetySetting.HarmBlockThreshold": frozenset(
        (
            *("BLOCK_LOW_AND_ABOVE", "BLOCK_MEDIUM_AND_ABOVE", "BLOCK_ONLY_HIGH", "BLOCK_NONE"),
            *("OFF", "HARM_BLOCK_THRESHOLD_UNSPECIFIED"),
        )
    ),
}

_MESSAGES: Mapping[str, _Fields] = {
    "GenerateContentRequest": {
        "model": "string",
        "contents": "[]Content",
        "systemInstruction": "Content",
        "tools": "[]Tool",
        "toolConfig": "ToolConfig",
        "generationConfig": "GenerationConfig",
        "safetySettings": "[]SafetySetting",
        "cachedContent": "string",
        "serviceTier": "string",
        "labels": "{}string",
    },
    "Content": {"role": "string", "parts": "[]Part"},
    "Part": {
        "text": "string",
        "thought": "bool",
        "thoughtSignature": "string",  # its base64 is judged with the rest of it
        "inlineData": "Blob",
        "fileData": "FileData",
        "functionCall": "FunctionCall",
        "functionResponse": "FunctionResponse",
        "executableCode": "ExecutableCode",
        "codeExecutionResult": "CodeExecutionResult",
        "videoMetadata": "object",
        "mediaResolution": "any",
    },
    "Blob": {"mimeType": "string", "data": "bytes", "displayName": "string"},
    "FileData": {"mimeType": "string", "fileUri": "string", "displayName": "string"},
    "FunctionCall": {"id": "string", "name": "string", "args": "object"},
    "FunctionResponse": {
        "id": "string",
        "name": "string",
        "response": "object",
        "parts": "[]object",
        "willContinue": "bool",
        "scheduling": "string",
    },
    "ExecutableCode": {"id": "string", "language": "string", "code": "string"},
    "CodeExecutionResult": {"id": "string", "outcome": "string", "output": "string"},
    "Tool": {
        "functionDeclarations": "[]FunctionDeclaration",
        "googleSearch": "GoogleSearch",
        "googleSearchRetrieval": "object",
        "googleMaps": "object",
        "codeExecution": "object",
        "urlContext": "object",
        "computerUse": "object",
    },
    "GoogleSearch": {"timeRangeFilter": "object", "searchTypes": "object"},
    "FunctionDeclaration": {
        "name": "string",
        "description": "string",
        "behavior": "string",
        "parameters": "Schema",
        "parametersJsonSchema": "any",
        "response": "Schema",
        "responseJsonSchema": "any",
    },
    "ToolConfig": {"functionCallingConfig": "FunctionCallingConfig", "retrievalConfig": "object"},
    "FunctionCallingConfig": {
        "mode": "FunctionCallingConfig.Mode",
        "allowedFunctionNames": "[]string",
    },
    "GenerationConfig": {
        "temperature": "float",
        "topP": "float",
        "topK": "float",
        "candidateCount": "int32",
        "maxOutputTokens": "int32",
        "stopSequences": "[]string",
        "presencePenalty": "float",
        "frequencyPenalty": "float",
        "seed": "int32",
        "responseMimeType": "string",
        "responseSchema": "Schema",
        "responseJsonSchema": "any",
        "responseFormat": "object",
        "responseModalities": "[]GenerationConfig.Modality",
        "responseLogprobs": "bool",
        "logprobs": "int32",
        "thinkingConfig": "ThinkingConfig",
        "mediaResolution": "string",
        "speechConfig": "object",
        "imageConfig": "object",
        "audioTranscriptionConfig": "object",
        "translationConfig": "object",
        "enableAffectiveDialog": "bool",
    },
    "ThinkingConfig": {
        "includeThoughts": "bool",
        "thinkingBudget": "int32",
        "thinkingLevel": "ThinkingConfig.ThinkingLevel",
    },
    "SafetySetting": {
        "category": "HarmCategory",
        "threshold": "SafetySetting.HarmBlockThreshold",
    },
    "Schema": {
        "type": "Type",
        "format": "string",
        "title": "string",
        "description": "string",
        "nullable": "bool",
        "enum": "[]string",
        "items": "Schema",
        "minItems": "int64",
        "maxItems": "int64",
        "properties": "{}Schema",
        "required": "[]string",
        "propertyOrdering": "[]string",
        "minProperties": "int64",
        "maxProperties": "int64",
        "minLength": "int64",
        "maxLength": "int64",
        "minimum": "float",
        "maximum": "float",
        "pattern": "string",
        "example": "any",
        "default": "any",
        "anyOf": "[]Schema",
    },
}
# What only one of the two APIs knows.
_OF_GEMINI_API: Mapping[str, _Fields] = {
    "GenerateContentRequest": {"store": "bool"},
    "Part": {"toolCall": "object", "toolResponse": "object", "partMetadata": "object"},
    "Tool": {"fileSearch": "object", "mcpServers": "[]object"},
    "ToolConfig": {"includeServerSideToolInvocations": "bool"},
    "GenerationConfig": {"enableEnhancedCivicAnswers": "bool"},
}
_OF_VERTEX: Mapping[str, _Fields] = {
    "GenerateContentRequest": {"modelArmorConfig": "object"},
    "FunctionCall": {"partialArgs": "[]object", "willContinue": "bool"},
    "Tool": {
        "retrieval": "object",
        "enterpriseWebSearch": "object",
        "parallelAiSearch": "object",
        "exaAiSearch": "object",
    },
    "GoogleSearch": {"excludeDomains": "[]string", "blockingConfidence": "string"},
    "FunctionCallingConfig": {"streamFunctionCallArguments": "bool"},
    "GenerationConfig": {
        "audioTimestamp": "bool",
        "routingConfig": "object",
        "modelSelectionConfig": "object",
        "modelConfig": "object",
    },
    "SafetySetting": {"method": "string"},
    "Schema": {"additionalProperties": "any", "ref": "string", "defs": "{}Schema"},
}


class FieldError(Exception):
    """A value that does not fit its field; the text is what the service says."""


def canonical(body: Mapping[str, Any], *, vertex: bool, strict: bool = True) -> dict[str, Any]:
    """A request's body in the one form that all its spellings mean.

    Args:
        body: The request's JSON.
        vertex: Whether the API is Vertex AI's.
        strict: Whether to complain; otherwise what does not fit is left out.

    Raises:
        FieldError: Something does not fit.
    """
    return _Reader(vertex, strict).message("GenerateContentRequest", body, "")


def snake(name: str) -> str:
    """A field's name in snake case, as the service's messages have it."""
    return re.sub(r"([A-Z])", lambda found: "_" + found[1].lower(), name)


def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")


def is_base64(text: str) -> bool:
    """Whether a text is base64, of either alphabet; padding may be missing."""
    return bool(_BASE64.fullmatch(text)) and len(text.rstrip("=")) % 4 != 1


def standard_base64(text: str) -> str:
    """Base64 in its usual alphabet, padded; clients send back what they got in either one."""
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    return plain + "=" * (-len(plain) % 4)


class _Reader:
    def __init__(self, vertex: bool, strict: bool) -> None:
        self._strict = strict
        self._own = _OF_VERTEX if vertex else _OF_GEMINI_API
        api = "cloud.aiplatform.v1beta1" if vertex else "ai.generativelanguage.v1beta"
        self._types = f"type.googleapis.com/google.{api}"

    def message(self, name: str, value: Any, path: str) -> dict[str, Any]:
        """A message's fields by their names in camel case."""
        if not is_object(value):
            raise FieldError(self._invalid(path, f"{self._types}.{name}", value))
        fields = {**_MESSAGES[name], **self._own.get(name, {})}
        made: dict[str, Any] = {}
        for spelling, item in value.items():
            field = _camel(spelling)
            try:
                if field not in fields:
                    raise FieldError(_unknown(spelling, path, "Cannot find field."))
                if item is not None:
                    inner = f"{path}.{snake(field)}" if path else snake(field)
                    made[field] = self._field(fields[field], item, inner)
            except FieldError:
                if self._strict:
                    raise
        return made

    def _field(self, kind: str, value: Any, path: str) -> Any:
        if kind.startswith("[]"):
            items = value if is_array(value) else [value]
            read = self._read(kind[2:], {f"{path}[{at}]": item for at, item in enumerate(items)})
            return list(read.values())
        if is_array(value) and kind != "any":
            parent, _, field = path.rpartition(".")
            raise FieldError(
                _unknown(field, parent, "Proto field is not repeating, cannot start list.")
            )
        if not kind.startswith("{}"):
            return self._value(kind, value, path)
        if not is_object(value):
            raise FieldError(self._invalid(path, "Map", value))
        # The service calls the entries of a map by their number.
        paths = {f"{path}[{at}].value": name for at, name in enumerate(value)}
        read = self._read(kind[2:], {at: value[name] for at, name in paths.items()})
        return {paths[at]: item for at, item in read.items()}

    def _read(self, kind: str, items: Mapping[str, Any]) -> dict[str, Any]:
        """Values by their paths; those that do not fit are left out unless that is an error."""
        read: dict[str, Any] = {}
        for path, item in items.items():
            try:
                read[path] = self._value(kind, item, path)
            except FieldError:
                if self._strict:
                    raise
        return read

    def _value(self, kind: str, value: Any, path: str) -> Any:
        if kind in _MESSAGES:
            return self.message(kind, value, path)
        if kind in _ENUMS:
            return self._enum(kind, value, path)
        made = _SCALARS[kind](value)
        if made is not None:
            return made
        if kind == "bytes" and isinstance(value, str):
            raise FieldError(
                f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for "
                f'"{value[:40]}"'
            )
        raise FieldError(self._invalid(path, _TYPES.get(kind, f"TYPE_{kind.upper()}"), value))

    def _enum(self, kind: str, value: Any, path: str) -> str:
        if isinstance(value, str) and value.upper() in _ENUMS[kind]:
            return value.upper()
        raise FieldError(self._invalid(path, f"{self._types}.{kind}", value))

    @staticmethod
    def _invalid(path: str, kind: str, value: Any) -> str:
        return f"Invalid value at '{path}' ({kind}), {encode(value).decode()[:200]}"


def _unknown(name: str, path: str, why: str) -> str:
    where = f" at '{path}'" if path else ""
    return f'Invalid JSON payload received. Unknown name "{name}"{where}: {why}'


# --- scalars: the value as the field has it, None where it has no place for it ---

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")


def _float(value: Any) -> float | int | None:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return _float(float(value))
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def _int(value: Any) -> int | None:
    number = _float(value)
    return int(number) if number is not None and number == int(number) else None


_SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "any": lambda value: value,
    "object": lambda value: value if is_object(value) else None,
    "string": lambda value: value if isinstance(value, str) else None,
    "bool": lambda value: value if isinstance(value, bool) else None,
    "bytes": lambda value: value if isinstance(value, str) and is_base64(value) else None,
    "float": _float,
    "int32": _int,
    "int64": _int,
}
_TYPES = {"object": "type.googleapis.com/google.protobuf.Struct"}
