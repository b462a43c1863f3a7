"""Ollama's own answers, of ``/api/chat`` and ``/api/generate``, as chunks of Chat Completions.

They come in lines, each an object with a piece of the answer; in the last one ``done`` is true,
with the reason, the counts and the durations (wire.md 10). An answer that is not streamed is
one such object.
"""

from __future__ import annotations

from typing import Any

from dhenara_stream.dialects.values import Dict, as_dict, as_list

__all__ = ["as_chunk", "is_line"]

_USAGE = (
    *("prompt_eval_count", "eval_count"),
    *("total_duration", "load_duration", "prompt_eval_duration", "eval_duration"),
)
_TOLD = frozenset({"message", "response", "thinking", "done", "done_reason", "logprobs", *_USAGE})


def is_line(value: Any) -> bool:
    """Whether this is one of their objects."""
    given = as_dict(value)
    return isinstance(given.get("done"), bool) and "choices" not in given


def as_chunk(line: Dict) -> Dict:
    """The chunk of Chat Completions that says the same."""
    said = as_dict(line.get("message"))
    if not said:
        said = {"content": line.get("response"), "thinking": line.get("thinking")}
    delta = {key: value for key, value in said.items() if key not in ("thinking", "images")}
    delta["reasoning"] = said.get("thinking")
    delta["images"] = [{"type": "image", "data": data} for data in as_list(said.get("images"))]
    return {
        **{key: value for key, value in line.items() if key not in _TOLD},
        "choices": [
            {
                "index": 0,
                "delta": delta,
                "finish_reason": line.get("done_reason"),
                "logprobs": {"content": line["logprobs"]} if line.get("logprobs") else None,
            }
        ],
        "usage": {key: line[key] for key in _USAGE if key in line},
    }
