"""Models as data: limits, prices, and what a request to them may hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.shared.base import InputModel

from ._costs import ChatModelCostData
from ._enums import AIModelFunctionalTypeEnum, AIModelProviderEnum

__all__ = ["AIModel", "BaseAIModel", "ChatModelSettings", "FoundationModel", "ValidOptionValue"]

Tokens = Annotated[int, msgspec.Meta(ge=1)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=300)]


class ValidOptionValue(InputModel, kw_only=True):
    """The values that one option of a model may take."""

    allowed_values: list[Any]
    default_value: Any
    cost_sensitive: bool
    description: str | None = None
    display_only: bool = False


class ChatModelSettings(InputModel, kw_only=True):
    """Limits of a chat model in tokens, and how to talk to it.

    Attributes:
        max_context_window_tokens: Input and output together; computed when only input is given.
        max_input_tokens: Input; computed when only the context window is given.
        max_output_tokens: Output.
        supports_reasoning: Whether the model can reason before it answers.
        max_reasoning_tokens: The largest reasoning budget.
        max_output_tokens_reasoning_mode: Output, reasoning included, when it reasons.
        reasoning_control: How reasoning is asked for.
        supported_reasoning_efforts: The efforts it knows, from least to most.
        unsupported_parameters: Names of request body fields that the provider rejects for it.
        exclusive_parameters: Groups of request body fields of which it takes only one.
        structured_output: ``native``: by a schema field; ``tool``: by a forced tool call.
    """

    max_context_window_tokens: Tokens | None = None
    max_input_tokens: Tokens | None = None
    max_output_tokens: Tokens
    supports_reasoning: bool = False
    max_reasoning_tokens: Tokens | None = None
    max_output_tokens_reasoning_mode: Tokens | None = None
    reasoning_control: Literal["none", "effort", "token_budget"] | None = None
    supported_reasoning_efforts: tuple[str, ...] | None = None
    unsupported_parameters: tuple[str, ...] = ()
    exclusive_parameters: tuple[tuple[str, ...], ...] = ()
    structured_output: Literal["native", "tool"] = "native"

    def check(self) -> None:
        self._fill_window()
        if self.reasoning_control is None:
            control = "token_budget" if self.max_reasoning_tokens else "effort"
            control = control if self.supports_reasoning else "none"
            msgspec.structs.force_setattr(self, "reasoning_control", control)
        cap = self.max_output_tokens_reasoning_mode
        if cap and self.max_reasoning_tokens and self.max_reasoning_tokens > cap:
            raise ConfigError(
                "ChatModelSettings.max_reasoning_tokens: more than "
                f"max_output_tokens_reasoning_mode ({cap})"
            )

    def _fill_window(self) -> None:
        window, given = self.max_context_window_tokens, self.max_input_tokens
        if given is not None:
            window = window if window is not None else given + self.max_output_tokens
        elif window is not None:
            given = window - self.max_output_tokens
        else:
            raise ConfigError(
                "ChatModelSettings: give max_context_window_tokens or max_input_tokens"
            )
        if given < 1:
            raise ConfigError(
                "ChatModelSettings.max_context_window_tokens: leaves no room for input beside "
                f"max_output_tokens ({self.max_output_tokens})"
            )
        msgspec.structs.force_setattr(self, "max_context_window_tokens", window)
        msgspec.structs.force_setattr(self, "max_input_tokens", given)


class BaseAIModel(InputModel, kw_only=True):
    """What foundation models and models made from them share."""

    provider: AIModelProviderEnum
    functional_type: AIModelFunctionalTypeEnum = AIModelFunctionalTypeEnum.TEXT_GENERATION
    model_name: Name
    display_name: Annotated[str, msgspec.Meta(max_length=300)] = ""
    order: int = 0
    enabled: bool = True
    beta: bool = False
    settings: ChatModelSettings | None = None
    valid_options: dict[str, ValidOptionValue] | None = None
    metadata: dict[str, Any] = {}
    cost_data: ChatModelCostData | None = None
    reference_number: str | None = None

    def check(self) -> None:
        if not self.display_name:
            msgspec.structs.force_setattr(self, "display_name", self.model_name)

    @classmethod
    def _from_mapping(cls, obj: Mapping[str, Any]) -> Self:
        # Which kind of model a dict is, its fields say.
        if cls is not BaseAIModel:
            return super()._from_mapping(obj)
        own = obj.keys() & {"foundation_model", "foundationModel"}
        kind: Any = AIModel if own else FoundationModel
        model: Self = kind.model_validate(obj)
        return model

    @property
    def is_foundation_model(self) -> bool:
        """Whether this is the maker's model itself."""
        return isinstance(self, FoundationModel)

    @property
    def model_name_with_version_suffix(self) -> str:
        """The name that goes on the wire."""
        return self.model_name + str(self.metadata.get("version_suffix") or "")

    def _inherited(self, name: str) -> Any:
        return getattr(self, name)

    def get_settings(self) -> ChatModelSettings:
        """The limits: its own, else the foundation model's.

        Raises:
            ConfigError: If neither has any.
        """
        settings: ChatModelSettings | None = self._inherited("settings")
        if settings is None:
            raise ConfigError(
                f"model {self.model_name!r} has no settings; give it "
                "settings=ChatModelSettings(max_context_window_tokens=..., max_output_tokens=...)"
            )
        return settings

    def get_cost_data(self) -> ChatModelCostData | None:
        """The prices: its own, else the foundation model's."""
        costs: ChatModelCostData | None = self._inherited("cost_data")
        return costs

    def get_valid_options(
        self, include_display_only: bool = False
    ) -> dict[str, ValidOptionValue] | None:
        """The options: its own, else the foundation model's."""
        options: dict[str, ValidOptionValue] | None = self._inherited("valid_options")
        if options is None or include_display_only:
            return options
        return {name: value for name, value in options.items() if not value.display_only}

    def validate_options(self, options: dict[str, Any]) -> bool:
        """Whether every option that the model restricts has an allowed value."""
        restricted = self.get_valid_options(include_display_only=True) or {}
        return all(
            value in restricted[name].allowed_values
            for name, value in options.items()
            if name in restricted
        )

    def get_options_with_defaults(self, options: dict[str, Any]) -> dict[str, Any]:
        """``options`` over the model's default values.

        Raises:
            ConfigError: If a restricted option has a value that is not allowed.
        """
        if not self.validate_options(options):
            raise ConfigError(f"model {self.model_name!r}: an option has a value not allowed")
        defaults = {k: v.default_value for k, v in (self.get_valid_options() or {}).items()}
        return defaults | options


class FoundationModel(BaseAIModel, kw_only=True):
    """A maker's model; usable as it is, or as the ground of your own."""

    def clone(self, model_name: str) -> AIModel:
        """The same model under another name; its metadata is a copy."""
        return self.create_instance(model_name=model_name)

    def create_instance(self, model_name: str | None = None, **fields: Any) -> AIModel:
        """A model of your own with this one as its ground; ``fields`` override, metadata merges.

        Raises:
            ConfigError: Naming a field that does not fit.
        """
        metadata = self.metadata | fields.pop("metadata", {})
        own: dict[str, Any] = {
            "provider": self.provider,
            "functional_type": self.functional_type,
            "model_name": model_name or self.model_name,
            "order": self.order,
            "beta": self.beta,
            "valid_options": self.valid_options,
        }
        return AIModel(**(own | fields), metadata=metadata, foundation_model=self)


class AIModel(BaseAIModel, kw_only=True):
    """A model of your own; what it does not say, its foundation model says."""

    foundation_model: FoundationModel | None = None

    def check(self) -> None:
        BaseAIModel.check(self)
        if self.foundation_model is None and self.settings is None:
            raise ConfigError(f"AIModel {self.model_name!r}: give foundation_model or settings")

    def _inherited(self, name: str) -> Any:
        own = getattr(self, name)
        if own or self.foundation_model is None:
            return own
        return getattr(self.foundation_model, name)
