"""What a place that serves models is made of: data, and a few small functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeAlias

import msgspec

from dhenara_stream.dialects.base import ChatRequest, Dialect, WireRequest
from dhenara_stream.types.genai.ai_model import (
    AIModelAPI,
    AIModelAPIProviderEnum,
    AIModelProviderEnum,
)
from dhenara_stream.types.shared.secret import SecretURL, without_userinfo

__all__ = ["Address", "Auth", "HTTPRequest", "Place", "Provider", "Route", "Signer", "as_it_is"]


class HTTPRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request, ready to be sent. Its secret headers are sealed until then.

    Attributes:
        url: The whole address.
        headers: All headers but those of the HTTP framing.
        body: The JSON body.
        adjustments: What was left out because the model would refuse it, in words.
        output_tool: The tool that carries the structured output, if one does.
        choices: How many answers it asks for.
        signer: Adds the headers that can be known only when it is sent.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    adjustments: tuple[str, ...] = ()
    output_tool: str | None = None
    choices: int = 1
    signer: Signer | None = None


class Signer(Protocol):
    """Proves who sends a request, anew for each attempt."""

    @property
    def blocking(self) -> bool:
        """Whether it may wait for a disk or a network, and so belongs in a worker thread."""
        ...

    def headers(self, request: HTTPRequest) -> Mapping[str, str]:
        """The headers to add; secrets in them are sealed.

        Raises:
            DhenaraStreamError: If there are none.
        """
        ...


Auth: TypeAlias = "Callable[[AIModelAPI, Provider], Mapping[str, str] | Signer]"
"""How a request proves who sends it: headers that are known at once, or a signer."""

Place: TypeAlias = Callable[[WireRequest, ChatRequest], WireRequest]
"""Fits a dialect's request to its place: another path, fields and headers moved."""

Address: TypeAlias = Callable[[AIModelAPI], str]
"""The base URL that follows from an account's config."""


def as_it_is(wire: WireRequest, request: ChatRequest) -> WireRequest:
    """The place takes the dialect's request as its maker does."""
    return wire


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One protocol that a place speaks, and for whose models.

    Attributes:
        dialect: The protocol.
        makers: Whose models are asked for that way; everybody's if ``None``.
        api: Its name in ``AIModelAPI.config["api"]``.
        place: Fits the dialect's requests to the place.
        base_url_envs: Environment variables that override the address, instead of the provider's.
        hosted_tools: Whether the maker's hosted tools, e.g. web search, work here.
    """

    dialect: Dialect
    makers: tuple[AIModelProviderEnum, ...] | None = None
    api: str = ""
    place: Place = as_it_is
    base_url_envs: tuple[str, ...] = ()
    hosted_tools: bool = True

    def serves(self, maker: AIModelProviderEnum) -> bool:
        """Whether models of this maker are asked for that way."""
        return self.makers is None or maker in (*self.makers, AIModelProviderEnum.CUSTOM)


def _unchanged(url: str) -> str:
    return url


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """One place that serves models.

    Attributes:
        api_provider: The ``AIModelAPI.provider`` it belongs to.
        name: Its name in ``AIModelAPI.config["service"]``; empty for the provider's main place.
        routes: The protocols it speaks; the first that serves a model is the default.
        base_url: Its address, without the version segment; empty if the caller must give it.
        base_url_keys: The entries of ``AIModelAPI.config`` that override the address.
        base_url_envs: The environment variables that do.
        hosts: Hosts of a ``base_url`` that mean this place, beside that of its own.
        key_env: The environment variable that usually holds the key.
        key_required: Whether there must be a key.
        auth: How a request proves who sends it.
        list_headers: Headers that are lists: the caller's values add to those of the request.
        tidy: Takes off what people copy along with an address.
    """

    api_provider: AIModelAPIProviderEnum
    name: str = ""
    routes: tuple[Route, ...]
    base_url: str | Address
    base_url_keys: tuple[str, ...] = ("base_url",)
    base_url_envs: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    key_env: str
    key_required: bool = True
    auth: Auth
    list_headers: tuple[str, ...] = ()
    tidy: Callable[[str], str] = _unchanged

    def __post_init__(self) -> None:
        if isinstance(self.base_url, str) and without_userinfo(self.base_url) != self.base_url:
            msgspec.structs.force_setattr(self, "base_url", SecretURL(self.base_url))

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.name or self.api_provider.value

    def serves(self, maker: AIModelProviderEnum) -> bool:
        """Whether it has models of this maker."""
        return any(route.serves(maker) for route in self.routes)
