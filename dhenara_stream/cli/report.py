"""The figures of a call: what it used, cost and took."""

from __future__ import annotations

from dhenara_stream.types import (
    AIModelCallResponse,
    CallTiming,
    ChatResponse,
    ChatResponseUsage,
    SSEErrorData,
    UsageCharge,
)

from .views import Facts, printable

__all__ = ["error_line", "facts_of", "summary_lines"]


def facts_of(response: AIModelCallResponse) -> Facts:
    """What is known about a call, in words; of one that broke off, as far as it came."""
    answer, status = response.chat_response, response.status
    if answer is None or status is None:
        return []
    so_far = "" if status.successful else " so far"
    facts = [("model", f"{answer.model} ({answer.api_provider})"), ("finish", _finish(answer))]
    if answer.usage is not None:
        facts.append(("usage", _usage(answer.usage) + so_far))
    if answer.usage_charge is not None:
        facts.append(("cost", _cost(answer.usage_charge) + so_far))
    if status.timing is not None:
        facts += _times(status.timing)
    if status.successful and answer.usage and status.timing:
        facts += _speed(answer.usage, status.timing)
    for adjustment in (status.data or {}).get("adjustments", ()):
        facts.append(("note", str(adjustment)))
    return facts


def summary_lines(response: AIModelCallResponse) -> list[str]:
    """What a call used, cost and took, in a line; then what was left out of the request.

    Nothing where nothing was used.
    """
    facts = facts_of(response)
    known = dict(facts)
    if "usage" not in known:
        return []
    shown = [known[name] for name in ("model", "usage", "cost", "time in all") if name in known]
    notes = [f"note: {value}" for name, value in facts if name == "note"]
    return [printable(line) for line in (", ".join(shown), *notes)]


def error_line(error: SSEErrorData) -> str:
    """What went wrong, and what is known of it, in a line."""
    details = error.details or {}
    names = ("http_status", "code", "request_id", "attempts", "retry_after")
    known = [f"{name.replace('_', ' ')} {details[name]}" for name in names if name in details]
    return printable(f"error: {error.message} ({', '.join([error.error_code, *known])})")


def _finish(answer: ChatResponse) -> str:
    reasons = [choice.finish_reason for choice in answer.choices]
    return ", ".join(reason for reason in reasons if reason) or "none: the answer is not complete"


def _usage(usage: ChatResponseUsage) -> str:
    text = f"{_count(usage.prompt_tokens)} tokens in, {_count(usage.completion_tokens)} out"
    if usage.reasoning_tokens:
        text += f" ({_count(usage.reasoning_tokens)} of them thinking)"
    return text


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else f"{tokens:,}"


def _cost(charge: UsageCharge) -> str:
    lines = [f"{line.key} ${line.cost:.6f}" for line in charge.components or ()]
    return f"${charge.cost:.6f}" + (f" ({', '.join(lines)})" if lines else "")


def _times(timing: CallTiming) -> Facts:
    times = {
        "time to first token": timing.first_content,
        "time to the answer": timing.first_answer,
        "time in all": timing.total,
    }
    if timing.first_answer == timing.first_content:
        del times["time to the answer"]  # it did not think
    return [(name, f"{seconds:.2f} s") for name, seconds in times.items() if seconds is not None]


def _speed(usage: ChatResponseUsage, timing: CallTiming) -> Facts:
    """Tokens in the time that they took: from the first one to the last."""
    if not usage.completion_tokens or timing.total is None or timing.first_content is None:
        return []
    seconds = max(timing.total - timing.first_content, 1e-6)
    return [("speed", f"{usage.completion_tokens / seconds:.1f} tokens per second")]
