"""A string that does not show itself."""

from __future__ import annotations

from typing import Any

__all__ = ["MASK", "Secret", "check_secret"]

MASK = "***"


class Secret(str):
    """A credential. ``repr``, ``str``, ``format``, pickles and dumps show ``***``.

    Code that must send it says so with :meth:`reveal`.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Secret:
        # str() of a secret is its mask: sealing it twice must not lose it.
        return value if isinstance(value, Secret) else super().__new__(cls, value)

    def reveal(self) -> str:
        """The plain value."""
        return str.__str__(self)[:]

    def __repr__(self) -> str:
        return repr(MASK)

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __reduce__(self) -> tuple[Any, ...]:
        return Secret, (MASK,)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self


def check_secret(value: str) -> str | None:
    """What is wrong with a key as an HTTP header value, in words that do not echo it."""
    if value != value.strip():
        return "has whitespace or a line end at its start or end; strip it (a CRLF .env file?)"
    if not value.isascii():
        return "has a non-ASCII character; copy it again from the provider's console"
    if not value.isprintable() or " " in value:
        return "has whitespace or a control character inside; copy it again"
    return None
