"""How an answer is shown while it arrives, and at its end: in plain text, or by rich."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

__all__ = ["Facts", "PlainView", "View", "printable", "view_of_stdout"]

Facts = Sequence[tuple[str, str]]

# A long answer that stands right above is not printed whole once more.
_SHOWN_AGAIN = 1000

# No model moves the cursor, sets the title or clears the screen.
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}") | {
    ord("\n"): "\n",
    ord("\t"): "\t",
    ord("\r"): "",
}


def printable(text: str) -> str:
    """The text without what a terminal would obey."""
    return text.translate(_CONTROLS)


class View(Protocol):
    """Shows one answer; it is entered while the answer arrives."""

    def begin(self, title: str, prompt: str) -> None:
        """Say who is asked, and what."""
        ...

    def add(self, text: str, *, thinking: bool) -> None:
        """Show a piece of the answer, or of the thinking before it."""
        ...

    def answer(self, title: str, thinking: str, text: str) -> None:
        """Show the answer as one."""
        ...

    def facts(self, facts: Facts) -> None:
        """Show what is known about it."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def view_of_stdout() -> View:
    """The view that fits where the output goes."""
    if _is_lively_terminal() and importlib.util.find_spec("rich") is not None:
        from .live import LiveView

        return LiveView()
    return PlainView()


def _is_lively_terminal() -> bool:
    isatty = getattr(sys.stdout, "isatty", None)  # a process may have no stdout
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return not plain and isatty is not None and bool(isatty())


class PlainView:
    """Plain text, piece by piece."""

    def __init__(self) -> None:
        self._heading = ""

    def begin(self, title: str, prompt: str) -> None:
        """Say who is asked, and what."""
        print(f"{title}\nPrompt: {printable(prompt)}", flush=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        print(flush=True)

    def add(self, text: str, *, thinking: bool) -> None:
        """Show a piece of the answer, or of the thinking before it."""
        heading = "Thinking" if thinking else "Answer"
        if heading != self._heading:
            print(f"\n\n{heading}:" if self._heading else f"\n{heading}:")
            self._heading = heading
        print(printable(text), end="", flush=True)

    def answer(self, title: str, thinking: str, text: str) -> None:
        """Show the answer as one: the text, and the size of the thinking."""
        print(f"\n--- {title}\n")
        if thinking:
            print(f"[{len(thinking):,} characters of thinking]")
        if len(text) > _SHOWN_AGAIN:
            text = f"{text[:_SHOWN_AGAIN].rstrip()} ...\n[{len(text):,} characters, as above]"
        print(printable(text))

    def facts(self, facts: Facts) -> None:
        """Show what is known about it."""
        width = max((len(name) for name, _ in facts), default=0)
        print()
        for name, value in facts:
            print(f"{name:{width}}  {printable(value)}")
