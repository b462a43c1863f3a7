"""The answer in a terminal, by rich: redrawn while it arrives, then printed once as a whole."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Markdown
from rich.rule import Rule
from rich.segment import Segment
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from .views import Facts, printable

__all__ = ["REDRAWS_PER_SECOND", "LiveView"]

REDRAWS_PER_SECOND = 12
_SPARE_LINES = 2  # below the drawing; one that fills the screen would scroll


class LiveView:
    """Colours and Markdown. While the answer arrives its end is in view, however long it is."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        self._drawing = _Drawing()
        self._live = Live(
            self._drawing,
            console=self._console,
            refresh_per_second=REDRAWS_PER_SECOND,
            transient=True,
        )

    def begin(self, title: str, prompt: str) -> None:
        """Say who is asked, and what."""
        self._console.print(Text(title, "bold cyan"))
        self._console.print(Text.assemble(("> ", "bold"), printable(prompt)), "")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def add(self, text: str, *, thinking: bool) -> None:
        """Take a piece; it is drawn when the next redraw is due."""
        (self._drawing.thinking if thinking else self._drawing.text).append(printable(text))

    def answer(self, title: str, thinking: str, text: str) -> None:
        """Show the answer as one, in the place of the drawing."""
        self._console.print(Rule(title, style="cyan"))
        self._console.print(_body(printable(thinking), printable(text)), "")

    def facts(self, facts: Facts) -> None:
        """Show what is known about it."""
        table = Table.grid(padding=(0, 2))
        for name, value in facts:
            table.add_row(Text(name, "cyan"), Text(printable(value)))
        self._console.print(table)


class _Drawing:
    """What has arrived, as far as the screen holds it."""

    def __init__(self) -> None:
        self.thinking: list[str] = []
        self.text: list[str] = []
        self._spinner = Spinner("dots", Text("waiting for the first token", "dim"))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not self.thinking and not self.text:
            yield self._spinner
            return
        body = _body("".join(self.thinking), "".join(self.text))
        room = max(options.max_height - _SPARE_LINES, 1)
        for line in console.render_lines(body, options, pad=False)[-room:]:
            yield from line
            yield Segment.line()


def _body(thinking: str, text: str) -> RenderableType:
    parts: list[RenderableType] = []
    if thinking:
        parts += [Text(thinking.strip(), "dim italic"), Text("")]
    parts.append(Markdown(text))
    return Group(*parts)
