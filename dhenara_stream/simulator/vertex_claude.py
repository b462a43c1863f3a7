"""Claude on Vertex AI: the Anthropic protocol behind Google's door (wire.md section 6).

The model stands in the path, the version in the body. Google refuses callers and quotas in words
of its own; all else is said by the model's makers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from .anthropic import AnthropicMessages, Asked, named_betas, of_cloud
from .gemini import VertexGemini, check_bearer
from .http1 import Headers, Request
from .protocol import Refused, sse_event

__all__ = ["VertexClaude"]

VERSION = "vertex-2023-10-16"

_PATH = re.compile(
    r"/v1/projects/[^/]+/locations/[^/]+/publishers/anthropic/models/[^/:]+"
    r":(?:rawPredict|streamRawPredict)"
)
_GOOGLES = (401, 403, 404, 429)


class VertexClaude(AnthropicMessages):
    """``POST .../publishers/anthropic/models/{model}:streamRawPredict`` and ``:rawPredict``."""

    addresses: ClassVar[Mapping[str, str]] = {"ANTHROPIC_VERTEX_BASE_URL": "/v1"}

    mark: ClassVar[str] = "vrtx_"

    def __init__(self) -> None:
        super().__init__()
        self._google = VertexGemini()

    def serves(self, path: str) -> bool:
        """Whether requests to this path speak this protocol."""
        return bool(_PATH.fullmatch(path))

    def _authenticate(self, request: Request) -> None:
        check_bearer(request.header("authorization") or "")

    def _asked(self, request: Request, body: dict[str, Any], *, validate: bool) -> Asked:
        asked = of_cloud(body, version=VERSION, in_path=("model",), validate=validate)
        # A dated model is called ``claude-...@20250929`` here.
        model = unquote(request.path.rpartition("/")[2].partition(":")[0]).replace("@", "-")
        return Asked({**asked.body, "model": model}, asked.betas | named_betas(request))

    def _frame(self, event: Mapping[str, Any]) -> bytes:
        return sse_event(event, "vertex_event" if event["type"] == "ping" else event["type"])

    def _identity(self, token: str) -> Headers:
        return (("request-id", f"req_{self.mark}{token}"),)

    def error(self, refused: Refused, token: str) -> tuple[Headers, bytes]:
        """Headers and body of an error: Google's, or the model's makers'."""
        if refused.status in _GOOGLES and refused.type is None:
            return self._google.error(refused, token)
        return super().error(refused, token)
