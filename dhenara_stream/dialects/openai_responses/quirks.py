"""How a server's Responses API differs from OpenAI's, as data."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["PATH", "Quirks"]

PATH = "/v1/responses"


class Quirks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a server that speaks this protocol does in its own way; the defaults are OpenAI's.

    Attributes:
        stateless: It keeps answers unless it is told not to, and encrypts reasoning on request.
        instructions: Where it takes them: in the field, or as a first message of that role.
        user: The field that names the end user; ``metadata`` has a ``user_id``.
        web_search: The type of its web search, if it has one.
        summary: It summarises reasoning on request.
        none_effort: Reasoning models whose sampling parameters are not refused know the effort
            ``none``, and take those parameters only then. Else only those do that list ``none``
            among their efforts.
        compaction: It compacts long conversations.
        more_options: It takes sampling parameters that OpenAI does not have.
        unsupported: Body fields that it refuses for every model.
    """

    stateless: bool = True
    instructions: Literal["field", "system", "developer"] = "field"
    user: Literal["metadata", "safety_identifier", "user"] = "metadata"
    web_search: Literal["web_search", "web_search_preview"] | None = "web_search"
    summary: bool = True
    none_effort: bool = True
    compaction: bool = True
    more_options: bool = False
    unsupported: tuple[str, ...] = ()
