"""Signatures of thinking, of the kind that only their maker can judge."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from typing import Literal, TypeAlias

__all__ = ["Judge", "Signatures", "Verdict"]

Verdict: TypeAlias = Literal["valid", "modified", "invalid"]
Judge: TypeAlias = Callable[[str, str], Verdict]
"""What tells whether a signature (the second text) fits what it is shown with (the first)."""


class Signatures:
    """Signs thinking, and knows its signatures again.

    A signature holds a nonce, a mark that it comes from a simulator, and a seal over nonce and
    text; so any simulator can judge it, and thinking whose text is not shown can be signed, too.
    """

    _KEY = b"dhenara_stream.simulator"
    _REMEMBERED = 10_000  # scripted signatures, which no rule derives

    def __init__(self) -> None:
        self._scripted: dict[str, str] = {}

    def sign(self, shown: str, thought: str) -> str:
        """The signature of thinking of which this text is shown."""
        nonce = hashlib.sha256(thought.encode()).digest()[:16]
        return base64.b64encode(nonce + self._mac(nonce) + self._mac(nonce, shown)).decode()

    def remember(self, signature: str, shown: str) -> None:
        """Take a scripted signature for good from now on."""
        self._scripted[signature] = shown
        if len(self._scripted) > self._REMEMBERED:
            del self._scripted[next(iter(self._scripted))]

    def judge(self, thinking: str, signature: str) -> Verdict:
        """Whether a signature fits, fits another text, or is none."""
        if signature in self._scripted:
            return self._verdict(self._scripted[signature] == thinking)
        try:
            raw = base64.b64decode(signature, validate=True)
        except ValueError:
            return "invalid"
        nonce, mark, seal = raw[:16], raw[16:32], raw[32:]
        if not hmac.compare_digest(mark, self._mac(nonce)):
            return "invalid"
        return self._verdict(hmac.compare_digest(seal, self._mac(nonce, thinking)))

    def _mac(self, nonce: bytes, text: str | None = None) -> bytes:
        message = nonce if text is None else nonce + b"\0" + text.encode()
        return hmac.digest(self._KEY, message, "sha256")[:16]

    @staticmethod
    def _verdict(fits: bool) -> Literal["valid", "modified"]:
        return "valid" if fits else "modified"
