"""What a place does in its own way with the Gemini API's protocol, as data."""

from __future__ import annotations

import msgspec

__all__ = ["Quirks"]


class Quirks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a place that speaks this protocol does in its own way; the Gemini API's by default.

    Attributes:
        version: The first segment of the path.
        versions: What ``api_version_override`` may say.
        models: What stands between the version and the model's name.
        server_side_tools: It tells what its own tools did, and takes that back.
        excluded_domains: Its web search can leave out domains.
        user_label: The label that names the end user, if there are labels for that.
    """

    version: str = "v1beta"
    versions: tuple[str, ...] = ("v1", "v1beta")
    models: str = "models/"
    server_side_tools: bool = True
    excluded_domains: bool = False
    user_label: str | None = None
