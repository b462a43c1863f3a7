"""Accounts, models and endpoints in one place, loaded from a credentials file."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import (
    AIModel,
    AIModelAPI,
    AIModelEndpoint,
    FoundationModel,
)
from dhenara_stream.types.genai.foundation_models import ALL_FOUNDATION_MODELS
from dhenara_stream.types.shared.base import BaseEnum, InputModel

from ._credentials import default_path, read_credentials
from ._mapping import MODEL_TO_API_MAPPING
from ._template import unfilled, write_template

__all__ = [
    "ResourceConfig",
    "ResourceConfigItem",
    "ResourceConfigItemTypeEnum",
    "ResourceQueryFieldsEnum",
]

_logger = logging.getLogger(__name__)


class ResourceConfigItemTypeEnum(BaseEnum):
    """What a resource is; this library has model endpoints."""

    ai_model_endpoint = "ai_model_endpoint"
    rag_endpoint = "rag_endpoint"
    search_endpoint = "search_endpoint"


class ResourceQueryFieldsEnum(BaseEnum):
    """The keys of a query."""

    model_name = "model_name"
    model_display_name = "model_display_name"
    api_provider = "api_provider"
    reference_number = "reference_number"


class ResourceConfigItem(InputModel):
    """A wish for a resource.

    Attributes:
        item_type: What is wished for.
        query: What it must match: keys of :class:`ResourceQueryFieldsEnum`, all of them.
        is_default: Whether it is the one to take from a list.
    """

    item_type: ResourceConfigItemTypeEnum
    query: dict[str, Any] | None = None
    is_default: bool = False

    def check(self) -> None:
        is_endpoint = self.item_type == ResourceConfigItemTypeEnum.ai_model_endpoint
        allowed = ResourceQueryFieldsEnum.values() if is_endpoint else set[str]()
        for key in self.query or {}:
            if key not in allowed:
                known = ", ".join(sorted(allowed)) or "none"
                raise ConfigError(
                    f"ResourceConfigItem.query: no key {key!r} for {self.item_type} (keys: {known})"
                )

    def is_same_as(self, other: ResourceConfigItem) -> bool:
        """Whether both ask for the same; items without a query are the same as nothing."""
        same_type = self.item_type == other.item_type
        return same_type and bool(self.query) and self.query == other.query

    @classmethod
    def with_model(cls, model_name: str) -> list[ResourceConfigItem]:
        """One item, for the endpoint of a model."""
        return cls.with_models([model_name])

    @classmethod
    def with_models(cls, model_names: Iterable[str]) -> list[ResourceConfigItem]:
        """One item for the endpoint of each model; the first is the default."""
        return [
            cls(
                item_type=ResourceConfigItemTypeEnum.ai_model_endpoint,
                query={"model_name": name},
                is_default=index == 0,
            )
            for index, name in enumerate(model_names)
        ]

    @classmethod
    def get_model_names(cls, resources: Iterable[ResourceConfigItem]) -> list[str]:
        """The model names that the items ask for."""
        return [
            item.query["model_name"]
            for item in resources
            if item.item_type == ResourceConfigItemTypeEnum.ai_model_endpoint
            and item.query
            and "model_name" in item.query
        ]

    @classmethod
    def has_model(cls, resources: Iterable[ResourceConfigItem], model_name: str) -> bool:
        """Whether one of the items asks for this model."""
        return model_name in cls.get_model_names(resources)


class ResourceConfig(InputModel):
    """Models, accounts, and the endpoints they make.

    A credentials file (JSON, TOML, or YAML with the extra ``yaml``) has one entry per provider,
    under the provider's name, e.g. ``anthropic``, with what :class:`AIModelAPI` takes::

        anthropic:
          api_key: ...
        amazon_bedrock:
          credentials: {access_key_id: ..., secret_access_key: ...}
          config: {region: eu-central-1}
    """

    models: list[AIModel | FoundationModel] = []
    model_apis: list[AIModelAPI] = []
    model_endpoints: list[AIModelEndpoint] = []

    def load_from_file(
        self,
        credentials_file: str | Path | None = None,
        models: Sequence[AIModel | FoundationModel] | None = None,
        init_endpoints: bool = False,
        *,
        strict: bool = False,
    ) -> None:
        """Add the accounts of a credentials file.

        Args:
            credentials_file: Its path. Without one: ``dai_credentials.yaml`` (or ``.yml``,
                ``.json``, ``.toml``) in the directory that ``DAI_SECRET_CONFIG_DIR`` names,
                else in ``/run/secrets/dai``.
            models: Taken in place of the models this config has.
            init_endpoints: Make an endpoint for each model (of all foundation models if there
                are none), with the first account that serves it; its ``reference_number`` is
                ``<model name>_<provider>``.
            strict: Raise for an entry that makes no account, e.g. one without a key, or one of
                the template that is not filled in; without it such an entry is logged and skipped.

        Raises:
            ConfigError: Naming the file, and the line or the provider. Where there is no such
                file it is also a FileNotFoundError.
        """
        path = Path(credentials_file).expanduser() if credentials_file else default_path()
        self.model_apis.extend(_apis(path, strict))
        if models:
            self.models = list(models)
        if init_endpoints:
            self.models = self.models or list(ALL_FOUNDATION_MODELS)
            self._add_endpoints()

    def _add_endpoints(self) -> None:
        known = {endpoint.reference_number for endpoint in self.model_endpoints}
        for model in self.models:
            api = self._api_for(model)
            reference = f"{model.model_name}_{api.provider}" if api else None
            if api is None or reference in known:
                continue
            known.add(reference)
            self.model_endpoints.append(
                AIModelEndpoint(api=api, ai_model=model, reference_number=reference)
            )

    def _api_for(self, model: AIModel | FoundationModel) -> AIModelAPI | None:
        apis = (self._find_api(provider) for provider in MODEL_TO_API_MAPPING[model.provider])
        return next((api for api in apis if api is not None), None)

    def _find_api(self, provider: str) -> AIModelAPI | None:
        return next((api for api in self.model_apis if api.provider == provider), None)

    def get_api(self, api_provider: str | None = None) -> AIModelAPI | None:
        """The first account at this provider, or the first of all; ``None`` if there is none."""
        if api_provider is None:
            return next(iter(self.model_apis), None)
        return self._find_api(api_provider)

    def get_model_endpoint(
        self, model_name: str, api_provider: str | None = None
    ) -> AIModelEndpoint | None:
        """The first endpoint of a model, at this provider if one is given, or ``None``."""
        query = {"model_name": model_name}
        if api_provider is not None:
            query["api_provider"] = api_provider
        endpoint = ResourceConfigItemTypeEnum.ai_model_endpoint
        return self.get_resource(ResourceConfigItem(item_type=endpoint, query=query))

    def get_resource(self, resource_item: ResourceConfigItem) -> AIModelEndpoint | None:
        """The first endpoint that matches the item's query; ``None`` is logged.

        Raises:
            ConfigError: If the item has no query.
        """
        query = resource_item.query
        if not query:
            raise ConfigError("ResourceConfigItem.query: give at least one key to find by")
        if resource_item.item_type == ResourceConfigItemTypeEnum.ai_model_endpoint:
            for endpoint in self.model_endpoints:
                if _facts(endpoint).items() >= query.items():
                    return endpoint
        wanted = ", ".join(f"{key}={value}" for key, value in query.items())
        _logger.warning("no %s with %s", resource_item.item_type, wanted)
        return None

    @classmethod
    def create_credentials_template(cls, output_file: str | Path = "credentials.yaml") -> None:
        """Write a credentials file to fill in: ``.yaml``, ``.yml``, ``.json`` or ``.toml``.

        Raises:
            ConfigError: If the file exists, cannot be written, or has another suffix.
        """
        write_template(Path(output_file).expanduser())


def _apis(path: Path, strict: bool) -> list[AIModelAPI]:
    apis: list[AIModelAPI] = []
    for provider, entry in read_credentials(path).items():
        try:
            apis.append(_api(provider, entry))
        except ConfigError as error:
            problem = f"{path}: {provider}: {error.message}"
            if strict:
                raise ConfigError(problem) from None
            _logger.warning("skipped an entry: %s", problem)
    return apis


def _api(provider: Any, entry: Any) -> AIModelAPI:
    if not isinstance(entry, Mapping):
        raise ConfigError("expected fields like api_key, credentials and config")
    given = cast("Mapping[str, Any]", entry)
    if (name := unfilled(given)) is not None:
        raise ConfigError(
            f"{name}: is still the template's placeholder; put in your own, or delete the entry"
        )
    fields = {str(name): value for name, value in given.items() if value is not None}
    return AIModelAPI.model_validate({**fields, "provider": provider})


def _facts(endpoint: AIModelEndpoint) -> dict[str, Any]:
    return {
        "model_name": endpoint.ai_model.model_name,
        "model_display_name": endpoint.ai_model.display_name,
        "api_provider": endpoint.api.provider,
        "reference_number": endpoint.reference_number,
    }
