"""What places change in a dialect's request, and the addresses that follow from a config."""

from __future__ import annotations

import os
import re
from typing import Any
from urllib.parse import quote

import msgspec

from dhenara_stream.dialects.base import ChatRequest, WireRequest
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import AIModelAPI
from dhenara_stream.types.shared.secret import Secret

__all__ = [
    "aws_region",
    "azure_chat",
    "azure_endpoint",
    "azure_responses",
    "bedrock_address",
    "bedrock_claude",
    "vertex_address",
    "vertex_claude",
    "vertex_gemini",
]

BEDROCK_VERSION = "bedrock-2023-05-31"
VERTEX_VERSION = "vertex-2023-10-16"
_EVENT_STREAM = "application/vnd.amazon.eventstream"
_BETAS = "anthropic-beta"

# They become parts of hosts and paths.
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:_-]*[A-Za-z0-9])?", re.ASCII)
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)


def _setting(
    api: AIModelAPI, name: str, environment: tuple[str, ...], form: re.Pattern[str] = _LABEL
) -> str:
    value: Any = api.config.get(name)
    where = f"AIModelAPI.config[{name!r}]"
    for variable in () if value else environment:
        if value := os.environ.get(variable, "").strip():
            where = f"${variable}"
            break
    if not value:
        raise ConfigError(
            f"AIModelAPI.config: {api.provider.value} needs {name!r}; or set the environment "
            f"variable {environment[0]}"
        )
    if not isinstance(value, str) or not form.fullmatch(value):
        raise ConfigError(f"{where}: {value!r} cannot be a {name}")
    return value


def _model_path(model: Any) -> str:
    # An inference profile's ARN holds slashes.
    return quote(str(model), safe=":@")


def _without(headers: Any, *names: str) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in names}


# --- Amazon Bedrock


def aws_region(api: AIModelAPI) -> str:
    """The account's AWS region."""
    return _setting(api, "region", ("AWS_REGION", "AWS_DEFAULT_REGION"))


def bedrock_address(api: AIModelAPI) -> str:
    """The address of a region's Bedrock."""
    region = aws_region(api)
    ending = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    return f"https://bedrock-runtime.{region}.{ending}"


def bedrock_claude(wire: WireRequest, request: ChatRequest) -> WireRequest:
    """Model and streaming stand in the path; version and betas in the body."""
    streaming = request.config.streaming
    body = {k: v for k, v in wire.body.items() if k not in ("model", "stream")}
    headers = _without(wire.headers, "anthropic-version", _BETAS)
    if _BETAS in wire.headers:
        betas = Secret(wire.headers[_BETAS]).reveal().split(",")
        body["anthropic_beta"] = [name.strip() for name in betas if name.strip()]
    action = "invoke-with-response-stream" if streaming else "invoke"
    return msgspec.structs.replace(
        wire,
        path=f"/model/{_model_path(wire.body['model'])}/{action}",
        headers=headers | {"accept": _EVENT_STREAM if streaming else "application/json"},
        body={"anthropic_version": BEDROCK_VERSION, **body},
    )


# --- Google Vertex AI


_LOCATION = ("GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION", "GOOGLE_CLOUD_REGION")
_PROJECT = ("GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID")


def vertex_address(api: AIModelAPI) -> str:
    """The host of a location; ``us`` and ``eu`` are several regions, an express key has none."""
    location = "global" if api.api_key else _setting(api, "location", _LOCATION)
    if location == "global":
        return "https://aiplatform.googleapis.com"
    if location in ("us", "eu"):
        return f"https://aiplatform.{location}.rep.googleapis.com"
    return f"https://{location}-aiplatform.googleapis.com"


def vertex_gemini(wire: WireRequest, request: ChatRequest) -> WireRequest:
    """The models of Google, in a project, or of nobody's with an express key."""
    api = request.endpoint.api
    version, _, rest = wire.path.removeprefix("/").partition("/")
    project = "" if api.api_key else _project(api)
    return msgspec.structs.replace(wire, path=f"/{version}{project}/{rest}")


def vertex_claude(wire: WireRequest, request: ChatRequest) -> WireRequest:
    """Model and streaming stand in the path, the version in the body."""
    api = request.endpoint.api
    if api.api_key:
        raise ConfigError(
            "AIModelAPI.api_key: Vertex AI takes an express key for Gemini only; give credentials "
            "with service_account_json, access_token or token_provider, or none to use those of "
            "the environment, or use a Gemini model"
        )
    action = "streamRawPredict" if request.config.streaming else "rawPredict"
    model = _model_path(wire.body["model"])
    body = {k: v for k, v in wire.body.items() if k != "model"}
    return msgspec.structs.replace(
        wire,
        path=f"/v1{_project(api)}/publishers/anthropic/models/{model}:{action}",
        headers=_without(wire.headers, "anthropic-version"),
        body={"anthropic_version": VERTEX_VERSION, **body},
    )


def _project(api: AIModelAPI) -> str:
    project = _setting(api, "project_id", _PROJECT, _NAME)
    return f"/projects/{project}/locations/{_setting(api, 'location', _LOCATION)}"


# --- Azure OpenAI


_UNDATED = {"": "", "v1": "", "preview": "?api-version=preview", "latest": "?api-version=latest"}


def azure_endpoint(url: str) -> str:
    """A resource's address, without the paths that the portal shows along with it.

    Raises:
        ConfigError: If it leads to one deployment.
    """
    if "/deployments/" in url + "/":
        raise ConfigError(
            "AIModelAPI.config['endpoint']: expected the resource's address, like "
            "https://name.openai.azure.com, not a deployment's; the deployment is the model's name"
        )
    for ending in ("/models", "/v1", "/openai"):
        url = url.rstrip("/").removesuffix(ending)
    return url


def azure_chat(wire: WireRequest, request: ChatRequest) -> WireRequest:
    """A dated API has the deployment in its path."""
    return _azure(wire, request, f"/deployments/{_model_path(wire.body['model'])}")


def azure_responses(wire: WireRequest, request: ChatRequest) -> WireRequest:
    """The deployment is the model, in all versions of the API."""
    return _azure(wire, request, "")


def _azure(wire: WireRequest, request: ChatRequest, deployment: str) -> WireRequest:
    given = request.endpoint.api.config.get("api_version")
    # YAML reads a date as one.
    version = str(given or os.environ.get("OPENAI_API_VERSION", "")).strip()
    query = _UNDATED.get(version)
    path = f"/openai{wire.path}{query}"
    if query is None:
        tail = wire.path.removeprefix("/v1")
        path = f"/openai{deployment}{tail}?api-version={quote(version, safe='')}"
    return msgspec.structs.replace(wire, path=path)
