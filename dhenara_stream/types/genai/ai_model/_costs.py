"""Prices, as data, and the sum they make."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.shared.base import InputModel

from ._usage import ChatResponseUsage, UsageCharge, UsageChargeComponent

__all__ = ["ChatModelCostData", "HostedToolCostRule"]

# Far below a hundredth of a cent's hundredth, far above the noise of binary fractions.
_DIGITS = 12
_PER_MILLION = 1_000_000

NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class HostedToolCostRule(InputModel, kw_only=True):
    """The price of one counter of ``usage.hosted_tool_usage``, in US dollars."""

    key: str
    usage_bucket: Literal["request_counts", "token_counts", "billing_counts"]
    usage_key: str
    flat_cost_per_unit: NotNegative | None = None
    cost_per_million: NotNegative | None = None
    unit: str | None = None
    description: str | None = None

    def check(self) -> None:
        if (self.flat_cost_per_unit is None) == (self.cost_per_million is None):
            raise ConfigError(
                f"HostedToolCostRule {self.key!r}: give exactly one of flat_cost_per_unit "
                "and cost_per_million"
            )

    def component(self, usage: ChatResponseUsage) -> UsageChargeComponent | None:
        """The line of the bill for this rule; ``None`` if the tool was not used."""
        if usage.hosted_tool_usage is None:
            return None
        bucket: dict[str, int] = getattr(usage.hosted_tool_usage, self.usage_bucket)
        units = bucket.get(self.usage_key)
        if not units:
            return None
        each = self.flat_cost_per_unit
        if each is None:
            each = (self.cost_per_million or 0.0) / _PER_MILLION
        return UsageChargeComponent(
            key=self.key, cost=round(units * each, _DIGITS), units=units, unit=self.unit
        )


class ChatModelCostData(InputModel, kw_only=True):
    """Prices of a chat model, in US dollars per million tokens.

    A cache price that is ``None`` counts as the input price.
    """

    cost_multiplier_percentage: float | None = None
    input_token_cost_per_million: NotNegative
    output_token_cost_per_million: NotNegative
    cache_read_token_cost_per_million: NotNegative | None = None
    cache_write_token_cost_per_million: NotNegative | None = None
    cache_write_1h_token_cost_per_million: NotNegative | None = None
    hosted_tool_cost_rules: list[HostedToolCostRule] | None = None

    def calculate_usage_charge(self, usage: ChatResponseUsage) -> UsageCharge:
        """What ``usage`` costs, line by line.

        Raises:
            TypeError: If ``usage`` is not a ChatResponseUsage.
        """
        if not isinstance(usage, ChatResponseUsage):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"expected ChatResponseUsage, got {type(usage).__name__}")
        components = [_token_component(*line) for line in self._token_lines(usage)]
        for rule in self.hosted_tool_cost_rules or []:
            component = rule.component(usage)
            if component is not None:
                components.append(component)
        cost = round(sum(component.cost for component in components), _DIGITS)
        percentage = self.cost_multiplier_percentage
        charge = round(cost * (1 + percentage / 100), _DIGITS) if percentage else None
        return UsageCharge(cost=cost, charge=charge, components=components)

    def _token_lines(self, usage: ChatResponseUsage) -> list[tuple[str, int, float]]:
        read = usage.cache_read_tokens or 0
        write_1h = usage.cache_write_1h_tokens or 0
        write = max((usage.cache_write_tokens or 0) - write_1h, 0)
        fresh = max((usage.prompt_tokens or 0) - read - write - write_1h, 0)
        in_price = self.input_token_cost_per_million
        write_price = _price(self.cache_write_token_cost_per_million, in_price)
        lines = [
            ("input_tokens", fresh, in_price),
            ("output_tokens", usage.completion_tokens or 0, self.output_token_cost_per_million),
        ]
        cached = [
            ("cache_read_tokens", read, _price(self.cache_read_token_cost_per_million, in_price)),
            ("cache_write_tokens", write, write_price),
            (
                "cache_write_1h_tokens",
                write_1h,
                _price(self.cache_write_1h_token_cost_per_million, write_price),
            ),
        ]
        return lines + [line for line in cached if line[1]]


def _price(price: float | None, fallback: float) -> float:
    return fallback if price is None else price


def _token_component(key: str, tokens: int, price: float) -> UsageChargeComponent:
    metadata: dict[str, Any] = {"cost_per_million": price}
    cost = round(tokens * price / _PER_MILLION, _DIGITS)
    return UsageChargeComponent(key=key, cost=cost, units=tokens, unit="token", metadata=metadata)
