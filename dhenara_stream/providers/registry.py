"""Which place an endpoint means, and the HTTP request for a call to it.

Places are data: the main ones of ``AIModelAPI.provider`` stand in ``PROVIDERS``, those that
``AIModelAPI.config["service"]`` or the host of ``base_url`` picks in ``SERVICES``; both are open.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from dhenara_stream.dialects.base import ChatRequest, WireRequest
from dhenara_stream.dialects.openai_chat import OpenAIChatDialect, Quirks
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import AIModelAPI, AIModelAPIProviderEnum, AIModelEndpoint
from dhenara_stream.types.shared.secret import MASK, Secret

from .base import HTTPRequest, Provider, Route, Signer
from .declared import DECLARED
from .services import SERVICES, compatible

__all__ = [
    "PROVIDERS",
    "SERVICES",
    "HTTPRequest",
    "Provider",
    "http_request",
    "provider_for",
    "register_provider",
    "register_service",
    "route_for",
]

PROVIDERS: dict[AIModelAPIProviderEnum, Provider] = {p.api_provider: p for p in DECLARED}

# The end of an address that says its version already; Google has its Chat Completions below one.
_VERSION_AT_END = re.compile(r"(?:/v\d\w*(?:/openai)?|/beta)$", re.ASCII)
_VERSION_AT_START = re.compile(r"/v\d\w*(?=/)", re.ASCII)


def register_provider(provider: Provider) -> Provider:
    """Make a place known; one of the same name is replaced.

    Args:
        provider: A place with a ``name`` is what ``AIModelAPI.config["service"]`` picks; without
            one it is the main place of its ``api_provider``.

    Returns:
        The same.
    """
    if provider.name:
        SERVICES[provider.name] = provider
    else:
        PROVIDERS[provider.api_provider] = provider
    return provider


def register_service(
    name: str,
    base_url: str,
    *,
    key_env: str = "",
    key_required: bool = True,
    base_url_env: str = "",
    hosts: tuple[str, ...] | None = None,
    path: str = "/v1/chat/completions",
    quirks: Quirks | None = None,
) -> Provider:
    """Make a server known that speaks Chat Completions.

    ::

        register_service("acme", "https://llm.acme.example/v1", key_env="ACME_API_KEY")
        AIModelAPI(provider=AIModelAPIProviderEnum.OPENAI_COMPATIBLE, config={"service": "acme"})

    Args:
        name: Its name in ``AIModelAPI.config["service"]``.
        base_url: Its address, with the version segment or without.
        key_env: The environment variable that usually holds the key.
        key_required: Whether there must be a key.
        base_url_env: The environment variable that overrides the address.
        hosts: Hosts of a ``base_url`` that mean this server; that of its own if not given.
        path: Where it answers, below the address.
        quirks: How it differs from OpenAI's; like most servers if not given.

    Returns:
        The declaration.

    Raises:
        ConfigError: If it has no name, or no address.
    """
    if not name:
        raise ConfigError("register_service: name: a service needs one")
    if wrong := _address_problem(base_url):
        shown = base_url.rpartition("@")[2]  # a password may stand before it
        raise ConfigError(f"register_service: base_url: {shown!r} {wrong}")
    return register_provider(
        compatible(
            name,
            base_url,
            key_env=key_env,
            key_required=key_required,
            base_url_env=base_url_env,
            hosts=hosts,
            path=path,
            quirks=quirks,
        )
    )


# --- which place


def provider_for(endpoint: AIModelEndpoint) -> Provider:
    """The place that an endpoint names.

    Raises:
        ConfigError: If it is not known, or does not serve the endpoint's model.
    """
    name, model = endpoint.api.provider, endpoint.ai_model
    provider = _service(endpoint.api) or PROVIDERS.get(name)
    if provider is None:
        served = ", ".join(PROVIDERS)
        raise ConfigError(f"Unsupported API provider {name.value!r}: this version serves {served}")
    if not provider.serves(model.provider):
        raise ConfigError(
            f"Unsupported provider {model.provider.value!r} for the API {name.value!r}: it does "
            f"not serve the model {model.model_name!r}. Use an AIModelAPI of the model's maker, "
            "or another model, or a model with provider=AIModelProviderEnum.CUSTOM"
        )
    return provider


def _service(api: AIModelAPI) -> Provider | None:
    own = {s.name: s for s in SERVICES.values() if s.api_provider == api.provider}
    name = str(api.config.get("service") or "")
    if name:
        if name not in own:
            known = f"known: {', '.join(own)}" if own else f"{api.provider.value} has none"
            raise ConfigError(
                f"AIModelAPI.config['service']: {name!r} is not known; {known}. Use one of them, "
                "or leave it out and give base_url, or declare it with "
                "dhenara_stream.providers.register_service"
            )
        return own[name]
    host = _host(api.config.get("base_url") or "")
    return next((s for s in own.values() if host in s.hosts), None)


def _host(url: str) -> str:
    return urlsplit(url.lower()).netloc.rpartition("@")[2] if _address_problem(url) is None else ""


def route_for(endpoint: AIModelEndpoint) -> Route:
    """How the endpoint's model is asked for at its place.

    Raises:
        ConfigError: If it cannot be, or not by the protocol that the config names.
    """
    provider, api = provider_for(endpoint), endpoint.api
    routes = [r for r in provider.routes if r.serves(endpoint.ai_model.provider)]
    wanted = api.config.get("api") or routes[0].api
    found = next((route for route in routes if route.api == wanted), None)
    if found is None:
        raise ConfigError(
            f"AIModelAPI.config['api']: {provider.title} has no {wanted!r} for the model "
            f"{endpoint.ai_model.model_name!r}; it has {', '.join(r.api for r in routes)}. Use "
            "one of them, or leave it out, or use another AIModelAPI"
        )
    return _with_own_quirks(found, api.config.get("quirks"))


def _with_own_quirks(route: Route, given: Any) -> Route:
    if not given:
        return route
    dialect = route.dialect
    if not isinstance(dialect, OpenAIChatDialect):
        raise ConfigError(
            f"AIModelAPI.config['quirks']: there are none for {route.api!r}; leave them out, or "
            "set config['api'] to 'chat_completions' where there is such a thing, or use "
            "OPENAI_COMPATIBLE"
        )
    try:
        quirks = msgspec.convert(msgspec.structs.asdict(dialect.quirks) | given, Quirks)
    except (TypeError, msgspec.ValidationError) as error:
        raise ConfigError(f"AIModelAPI.config['quirks']: {error}") from None
    return msgspec.structs.replace(route, dialect=OpenAIChatDialect(quirks, path=dialect.path))


# --- the request


def http_request(route: Route, request: ChatRequest) -> HTTPRequest:
    """The HTTP request for a call.

    Raises:
        ConfigError: Naming the argument that keeps it from being made.
    """
    endpoint = request.endpoint
    provider, api = provider_for(endpoint), endpoint.api
    _check_hosted_tools(provider, route, request)
    try:
        wire = route.dialect.build_request(request)
    except RecursionError as error:
        raise ConfigError("the request is nested too deeply to be written as JSON") from error
    headers = _with_own_headers(provider, wire.headers, api)
    wire = route.place(msgspec.structs.replace(wire, headers=headers), request)
    address, user = _without_user(_base_url(provider, route, api))
    proof, signer = _proof(provider, wire, api)
    notes = list(wire.adjustments)
    if "authorization" in user and "authorization" in proof.keys() - wire.headers.keys():
        notes.append("base_url: its user and password are sent instead of the API key")
    return HTTPRequest(
        url=_joined(address, wire.path),
        headers={**proof, **user, **wire.headers},
        body=_encoded(wire.body),
        adjustments=tuple(notes),
        output_tool=wire.output_tool,
        choices=wire.choices,
        signer=signer,
    )


def _check_hosted_tools(provider: Provider, route: Route, request: ChatRequest) -> None:
    if request.config.hosted_tools and not route.hosted_tools:
        raise ConfigError(
            f"hosted_tools: {provider.title} has none for {request.endpoint.ai_model.model_name!r}"
            ". Leave them out, or give a tool of your own in tools; or use an AIModelAPI of the "
            "model's maker; or, if the place has them, declare it with register_provider "
            "(Route.hosted_tools)"
        )


def _with_own_headers(
    provider: Provider, wire: Mapping[str, str], api: AIModelAPI
) -> dict[str, str]:
    """The protocol's headers, and the caller's own, which win."""
    headers = {name.lower(): value for name, value in wire.items()}
    given: dict[str, str] = api.config.get("headers") or {}
    for name, value in given.items():
        name, value = name.lower(), Secret(value)
        if value == MASK:
            raise ConfigError(
                f"AIModelAPI.config['headers'][{name!r}]: the value is not here (secrets do not "
                "travel in pickles and dumps); give it anew"
            )
        if name in provider.list_headers and name in headers:
            value = Secret(f"{Secret(headers[name]).reveal()},{value.reveal()}")
        headers[name] = value
    return headers


def _proof(
    provider: Provider, wire: WireRequest, api: AIModelAPI
) -> tuple[Mapping[str, str], Signer | None]:
    """Headers that prove who sends the request, or what adds them; not beside the caller's own."""
    if "authorization" in wire.headers and not provider.key_required:
        return {}, None
    proof = provider.auth(api, provider)
    return (proof, None) if isinstance(proof, Mapping) else ({}, proof)


def _encoded(body: Mapping[str, object]) -> bytes:
    try:
        return msgspec.json.encode(body)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"the request cannot be written as JSON: {error}") from error


# --- the address


def _base_url(provider: Provider, route: Route, api: AIModelAPI) -> str:
    given, where = _given_address(provider, route, api)
    if not given:
        own = provider.base_url
        given = _plain(own) if isinstance(own, str) else own(api)
    base = given.strip().rstrip("/")
    wrong = _address_problem(base)
    if wrong:
        shown = base.rpartition("@")[2]  # a password may stand before it
        raise ConfigError(
            f"the base URL {shown!r} (from {where}) {wrong}: expected an address like "
            "https://host/path"
        )
    return provider.tidy(base).rstrip("/")


def _given_address(provider: Provider, route: Route, api: AIModelAPI) -> tuple[str, str]:
    """The address that the config or the environment gives, and where it stands."""
    for key in provider.base_url_keys:
        if value := api.config.get(key):
            return _plain(value), f"config[{key!r}]"
    for name in route.base_url_envs or provider.base_url_envs:
        if value := os.environ.get(name, "").strip():
            return value, f"${name}"
    return "", f"config[{provider.base_url_keys[-1]!r}]"


def _plain(value: Any) -> str:
    return value.reveal() if isinstance(value, Secret) else str(value)


def _without_user(address: str) -> tuple[str, dict[str, str]]:
    """The address without the user's name and password in it, and the header that tells them.

    So they stay a secret: an address stands in logs and errors.
    """
    parts = urlsplit(address)
    user, _, host = parts.netloc.rpartition("@")
    if not user:
        return address, {}
    if user == MASK:
        raise ConfigError(
            "the base URL's user name and password are not here (secrets do not travel in pickles "
            "and dumps); give AIModelAPI its base_url anew"
        )
    name, _, password = user.partition(":")
    token = b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()
    return parts._replace(netloc=host).geturl(), {"authorization": Secret(f"Basic {token}")}


def _joined(base: str, path: str) -> str:
    """A path below an address that may hold its version already, or another, or all of it."""
    version = _VERSION_AT_START.match(path)
    rest = path[version.end() :] if version else path
    if base.endswith(rest):
        return base
    held = _VERSION_AT_END.search(base)
    if version and held:
        return base[: held.start()].rstrip("/") + held[0] + rest
    return base + path


@lru_cache(maxsize=256)
def _address_problem(url: str) -> str | None:
    if not url.isprintable() or " " in url:
        return "has whitespace or a control character"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        # What it names may be a part of a password.
        return "has a wrong host or port" + ("" if "@" in url else f" ({error})")
    if parts.scheme not in ("http", "https") or not host:
        return "is no HTTP address"
    if parts.query or parts.fragment:
        return "has a query or a fragment"
    return None
