"""A string that does not show itself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ._coerce import is_mapping, is_sequence

__all__ = [
    "MASK",
    "Secret",
    "SecretURL",
    "check_secret",
    "longer_secrets",
    "redacted",
    "without_userinfo",
]

MASK = "***"

_USERINFO = re.compile(r"(?<=://)[^/?#\s]*@")


class Secret(str):
    """A credential: as a string it is ``***``, whatever prints, joins, dumps or pickles it.

    Code that must send it says so with :meth:`reveal`. It compares and hashes as the plain value.
    """

    # The text itself is the mask: json.dumps and str.join read it without asking __str__.
    __slots__ = ("_plain",)

    _plain: str

    def __new__(cls, value: str) -> Secret:  # noqa: D102  (as __init__)
        if isinstance(value, Secret):
            return value
        secret = super().__new__(cls, MASK if value else "")
        secret._plain = value
        return secret

    def reveal(self) -> str:
        """The plain value."""
        return self._plain

    def __eq__(self, other: object) -> bool:
        return self._plain == (other._plain if isinstance(other, Secret) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._plain)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (str.__str__(self),)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self


class SecretURL(Secret):
    """An address with a user's name or password in it, which are masked; the rest shows."""

    __slots__ = ()

    def __new__(cls, value: str) -> SecretURL:  # noqa: D102  (as __init__)
        url = str.__new__(cls, without_userinfo(value))
        url._plain = value.reveal() if isinstance(value, Secret) else value
        return url


def without_userinfo(text: str) -> str:
    """A text with the user's name and password masked in every address in it."""
    return _USERINFO.sub(f"{MASK}@", text)


def check_secret(value: str) -> str | None:
    """What is wrong with a key as an HTTP header value, in words that do not echo it."""
    if value != value.strip():
        return "has whitespace or a line end at its start or end; strip it (a CRLF .env file?)"
    if not value.isascii():
        return "has a non-ASCII character; copy it again from the provider's console"
    if not value.isprintable() or " " in value:
        return "has whitespace or a control character inside; copy it again"
    return None


# A shorter header value is no key, and would be found in any text.
MIN_SECRET = 8
_AFTER_SCHEME = re.compile(r"[\w-]+ (\S+)")


def longer_secrets(values: Iterable[str]) -> list[str]:
    """The plain values of the sealed ones among these, but for those too short to be a secret.

    Of ``Bearer <key>`` and the like the key, too. The longest come first: one may hold another.
    """
    plain = [value.reveal() for value in values if isinstance(value, Secret)]
    bare = [match[1] for value in plain if (match := _AFTER_SCHEME.fullmatch(value))]
    return sorted((v for v in plain + bare if len(v) >= MIN_SECRET), key=len, reverse=True)


def redacted(value: Any, secrets: Iterable[str]) -> Any:
    """JSON-like ``value`` with every occurrence of a secret masked: servers echo what they got."""
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
        return value
    if is_mapping(value):
        return {key: redacted(item, secrets) for key, item in value.items()}
    if is_sequence(value):
        return [redacted(item, secrets) for item in value]
    return value
