"""Azure's face of OpenAI's protocols: paths, keys, headers, its gateway's errors (wire.md 8).

Its ``v1`` paths are versions of their own; all others need an ``api-version`` in the query.
"""

from __future__ import annotations

import re
from typing import ClassVar
from urllib.parse import parse_qs

from ._json import encode
from .http1 import Head, Headers, Request
from .openai_common import OpenAIProtocol
from .protocol import Refused

__all__ = ["Gateway", "GatewayRefused", "authenticate"]

_MESSAGES = {
    401: (
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide "
        "a valid key for an active subscription and use a correct regional API endpoint for your "
        "resource."
    ),
    404: (
        "The API deployment for this resource does not exist. If you created the deployment "
        "within the last 5 minutes, please wait a moment and try again."
    ),
    429: (
        "Requests to the {} Operation have exceeded call rate limit of your current OpenAI S0 "
        "pricing tier. Please retry after 1 second."
    ),
}
_BEARER = re.compile(r"bearer\s+\S", re.IGNORECASE)


class GatewayRefused(Refused):
    """The gateway refuses; the service behind it has not seen the request."""


def authenticate(request: Request, *, require_key: bool) -> None:
    """What the gateway checks: a key or a token of Entra, and the version of the API.

    Raises:
        GatewayRefused: There is none.
    """
    bearer = _BEARER.match(request.header("authorization") or "")
    if require_key and not (request.header("api-key") or bearer):
        raise GatewayRefused(401, _MESSAGES[401])
    is_dated = not request.path.startswith("/openai/v1/")
    if is_dated and "api-version" not in parse_qs(request.query):
        raise GatewayRefused(404, "Resource not found")


class Gateway(OpenAIProtocol):
    """How the gateway answers for the protocol behind it; comes before that one's class."""

    operation: ClassVar[str]
    """What the gateway calls a request."""

    def head(self, request: Request, token: str, now: float, *, stream: bool) -> Head:
        """The head of an answer, with what Azure adds to it."""
        plain = super().head(request, token, now, stream=stream)
        return Head(plain.status, (*plain.headers, *_identity(token)))

    def error(self, refused: Refused, token: str) -> tuple[Headers, bytes]:
        """Headers and body of an error: the gateway's, or OpenAI's."""
        gateways = _gateways(refused, self.operation)
        if gateways is None:
            headers, body = super().error(refused, token)
            return (*headers, *_identity(token)), body
        error = {"code": str(gateways.status), "message": gateways.message}
        headers = (("content-type", "application/json"), *_identity(token))
        return headers, encode({"error": error})


def _gateways(refused: Refused, operation: str) -> GatewayRefused | None:
    """An error as the gateway says it, of that operation; ``None`` if it is the service's."""
    if isinstance(refused, GatewayRefused):
        return refused
    is_plain = type(refused) is Refused and refused.type is None
    if not is_plain or refused.status not in _MESSAGES:
        return None
    message = refused.message or _MESSAGES[refused.status].format(operation)
    return GatewayRefused(refused.status, message)


def _identity(token: str) -> Headers:
    return (("apim-request-id", token), ("x-ms-region", "Sweden Central"))
