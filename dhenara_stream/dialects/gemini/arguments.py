"""A function call's arguments that are streamed value by value, as the JSON text they stand for.

The values come in the order of that text, each with the path of its place (``$.a.b[0]``), long
texts in pieces; so the text can be handed on as it grows. Where a value comes that the text has no
place for any more, or whose path cannot be read, the text is left broken, with all that comes
after in it: a call whose arguments are in doubt must not look like one that can be carried out.
"""

from __future__ import annotations

import re
from itertools import takewhile
from typing import Any

import msgspec

from dhenara_stream.dialects.values import Dict, as_text

__all__ = ["ArgumentsWriter", "steps"]

_VALUES = ("stringValue", "numberValue", "boolValue")

_STEP = re.compile(
    r"\.(?P<name>[^.\[]+)"
    r"|\[(?P<index>\d{1,9})\]"
    r"|\[(?P<quote>['\"])(?P<quoted>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote)\]",
    re.ASCII | re.DOTALL,
)
_ESCAPE_OR_QUOTE = re.compile(r"\\.|\"", re.DOTALL)
_AS_JSON = {"\\'": "'", '"': '\\"'}


def steps(path: str) -> list[str | int] | None:
    """The names and numbers that a JSON path goes through; ``None`` if it cannot be read."""
    rest = path.removeprefix("$")
    if rest[:1] not in (".", "["):
        rest = f".{rest}"
    found: list[str | int] = []
    at = 0
    while at < len(rest):
        step = _STEP.match(rest, at)
        if step is None:
            return None
        name = step["name"] if step["quoted"] is None else _unquoted(step["quoted"])
        if step["index"] is not None:
            found.append(int(step["index"]))
        elif name is None:
            return None
        else:
            found.append(name)
        at = step.end()
    return found


def _unquoted(text: str) -> str | None:
    """The name in quotes, whose escapes are those of JSON and the single quote's."""
    quoted = _ESCAPE_OR_QUOTE.sub(lambda found: _AS_JSON.get(found[0], found[0]), text)
    try:
        return msgspec.json.decode(f'"{quoted}"', type=str)
    except msgspec.DecodeError:
        return None


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


class ArgumentsWriter:
    """The text of one call's arguments; what its methods return is to be appended.

    Attributes:
        goes_on: Whether the value written last is to be continued.
    """

    def __init__(self) -> None:
        self.goes_on = False
        self._started = self._broken = False
        self._at: list[str | int] = []  # the path of the value written last
        self._used: list[set[str | int]] = [set()]  # in each open container, from the outermost
        self._in_text = False  # a text's closing quote is not written before something else is

    def start(self) -> str:
        """The text's beginning, once. From here to the end it is never valid JSON."""
        started, self._started = self._started, True
        return "" if started else "{"

    def write(self, argument: Dict) -> str:
        """Add a value, or more of a text."""
        self.goes_on = argument.get("willContinue") is True
        value = next((v for key in _VALUES if (v := argument.get(key)) is not None), None)
        if value is None and "nullValue" not in argument:
            return ""
        return self.put(steps(as_text(argument.get("jsonPath"))), value, argument)

    def put(self, path: list[str | int] | None, value: Any, source: Any) -> str:
        """Add a value at a path; ``source`` stands in the text if there is no place for it."""
        text = self._put(path, value) if path and not self._broken else None
        if text is None:
            self._broken = True
            return _json(source)
        return text

    def end(self) -> str:
        """The text's end."""
        if self._broken:
            return ""
        return self._leave(0) + "}"

    def _put(self, path: list[str | int], value: Any) -> str | None:
        if path == self._at:
            more = self._in_text and isinstance(value, str)
            return _json(value)[1:-1] if more else None
        pairs = zip(path, self._at, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if shared == len(path) or (self._at and shared == len(self._at)):
            return None  # there is a value where this one needs a container, or the reverse
        out = [self._leave(shared)]
        if self._used[-1]:
            out.append(",")
        for depth, step in enumerate(path[shared:], shared):
            if depth > shared:
                out.append("{" if isinstance(step, str) else "[")
                self._used.append(set())
            if not self._fits(step, depth == 0):
                return None
            self._used[-1].add(step)
            if isinstance(step, str):
                out.append(_json(step) + ":")
        self._at = path
        self._in_text = isinstance(value, str)
        written = _json(value)
        return "".join(out) + (written[:-1] if self._in_text else written)

    def _fits(self, step: str | int, outermost: bool) -> bool:
        """Whether this may come next in the innermost container."""
        used = self._used[-1]
        if isinstance(step, str):
            return step not in used and 0 not in used
        return step == len(used) and not outermost and (not used or step - 1 in used)

    def _leave(self, shared: int) -> str:
        """Close the text and the containers that are not on the way of a path sharing so much."""
        out = ['"'] if self._in_text else []
        for step in reversed(self._at[shared + 1 :]):
            out.append("}" if isinstance(step, str) else "]")
            self._used.pop()
        return "".join(out)
