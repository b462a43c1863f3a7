"""How an answer is printed for other programs: its text, or lines of JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Protocol, TextIO

import msgspec

from dhenara_stream.types import ChatResponseChunk
from dhenara_stream.types.shared import BaseModel

from .calls import Outcome, Piece, pieces_of_chunk
from .views import printable

__all__ = ["JsonPrinter", "Output", "Printer", "TextPrinter"]


class Output:
    """Standard output or error: text at once, exact in a pipe, harmless on a terminal."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.is_terminal = stream is not None and stream.isatty()
        self.mid_line = False

    def write(self, text: str) -> None:
        """Write a piece."""
        if self._stream is None:
            return  # a process may have none
        self._stream.write(printable(text) if self.is_terminal else text)
        self._stream.flush()
        self.mid_line = not text.endswith("\n")

    def end_line(self) -> None:
        """End the line if one is open."""
        if self.mid_line:
            self.write("\n")

    def line(self, text: str) -> None:
        """Write a line of its own."""
        self.end_line()
        self.write(f"{text}\n")


class Printer(Protocol):
    """Shows an answer while it comes, and at its end."""

    def chunk(self, chunk: ChatResponseChunk) -> None:
        """Show a piece."""
        ...

    def end(self, outcome: Outcome, *, complete: bool) -> None:
        """Show what is left to show, and leave no line open."""
        ...


class TextPrinter:
    """The text on stdout; the thinking, if it is to be shown, on stderr."""

    def __init__(self, *, thinking: bool) -> None:
        self._out, self._err = Output(sys.stdout), Output(sys.stderr)
        self._shows_thinking = thinking
        self._streamed = self._thinks = False

    def chunk(self, chunk: ChatResponseChunk) -> None:
        """Print what is new."""
        self._streamed = True
        self._show(pieces_of_chunk(chunk))

    def end(self, outcome: Outcome, *, complete: bool) -> None:
        """Print all of an answer that was not streamed."""
        if not self._streamed:
            self._show(outcome.pieces())
        self._out.end_line()
        self._err.end_line()

    def _show(self, pieces: Iterable[Piece]) -> None:
        for text, thinking in pieces:
            if thinking and not self._shows_thinking:
                continue
            if thinking != self._thinks:
                self._change()
            (self._err if thinking else self._out).write(text)

    def _change(self) -> None:
        """Begin a line where the thinking begins, and where it ends."""
        self._thinks = not self._thinks
        share_a_screen = self._out.is_terminal and self._err.is_terminal
        if not self._thinks:
            self._err.end_line()
        elif share_a_screen and self._out.mid_line:
            self._err.write("\n")


class JsonPrinter:
    """All that comes, as lines of JSON on stdout."""

    def __init__(self) -> None:
        if reconfigure := getattr(sys.stdout, "reconfigure", None):
            reconfigure(encoding="utf-8", newline="\n")  # as JSON is, wherever it goes
        self._out = Output(sys.stdout)

    def chunk(self, chunk: ChatResponseChunk) -> None:
        """Print the line of a chunk."""
        self._line("chunk", _said(pieces_of_chunk(chunk)), chunk)

    def end(self, outcome: Outcome, *, complete: bool) -> None:
        """Print the last line; none after an interruption."""
        response, error, answer = outcome.response, outcome.error, outcome.answer
        said = _said(outcome.pieces())
        if error is not None:
            self._line("error", {"message": error.message, **said}, error)
        elif response is not None and answer is not None and not outcome.interrupted:
            reason = next((choice.finish_reason for choice in answer.choices), None)
            facts = {"finish_reason": reason, "complete": complete}
            structured = {"structured": answer.structured()}
            self._line("response", {**said, **facts, **structured}, response)

    def _line(self, event: str, facts: dict[str, Any], data: BaseModel) -> None:
        line = {"event": event, **facts, "data": data.model_dump(mode="json")}
        self._out.line(msgspec.json.encode(line).decode().translate(_ESCAPED))


# What JSON lets stand, and a terminal would obey.
_ESCAPED = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def _said(pieces: Iterable[Piece]) -> dict[str, Any]:
    parts: dict[bool, list[str]] = {False: [], True: []}
    for text, thinking in pieces:
        parts[thinking].append(text)
    return {"text": "".join(parts[False]), "reasoning": "".join(parts[True])}
