"""One of many calls."""

from __future__ import annotations

from typing import Any

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.shared.base import InputModel

__all__ = ["AIModelCallRequest"]


class AIModelCallRequest(InputModel, kw_only=True):
    """What one of many calls asks: the arguments of ``generate``, and a name for it.

    Attributes:
        id: The caller's own name for it, told again with the result; no two have the same.
        prompt: As of ``generate``.
        context: As of ``generate``.
        instructions: As of ``generate``.
        messages: As of ``generate``.
    """

    id: str | None = None
    prompt: Any = None
    context: Any = None
    instructions: Any = None
    messages: Any = None

    def check(self) -> None:
        """The name is told in logs and files, so it has to be text.

        Raises:
            ConfigError: If it has half a character, as names of files may.
        """
        try:
            (self.id or "").encode()
        except UnicodeEncodeError as error:
            message = f"AIModelCallRequest.id: {self.id!r} is no text: {error.reason}"
            raise ConfigError(message) from None
