"""The answers that aimock.json tells aimock to give, in the terms of each protocol."""

from __future__ import annotations

from dataclasses import replace

from real.sdks import Facts

ANSWERS = {
    "Greet me": Facts('Hello,  world! \u65e5\u672c \U0001f642 "quoted" \\ and\nnew lines\n'),
    "Think hard": Facts("42", "Let me think step by step."),
    "Weather?": Facts(
        calls=[
            ("get_weather", {"city": "Paris", "days": 3}),
            ("get_weather", {"city": "M\u00fcnchen", "days": 1}),
        ]
    ),
}

_ENDS = {"messages": "end_turn", "chat": "stop", "responses": "completed", "gemini": "STOP"}
_ENDS_WITH_CALLS = {
    "messages": "tool_use",
    "chat": "tool_calls",
    "responses": "completed",
    "gemini": "FUNCTION_CALL",  # aimock's own; Gemini says STOP
}


def expected(protocol: str, prompt: str) -> Facts:
    """The answer to a prompt, as a protocol has it."""
    facts = ANSWERS[prompt]
    ends = _ENDS_WITH_CALLS if facts.calls else _ENDS
    return replace(facts, finish=ends[protocol], prompt_tokens=11, completion_tokens=7)
