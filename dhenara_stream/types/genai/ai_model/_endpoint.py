"""A model at a place."""

from __future__ import annotations

from dhenara_stream.types.shared.base import InputModel

from ._api import AIModelAPI
from ._costs import ChatModelCostData
from ._models import BaseAIModel
from ._usage import ChatResponseUsage, UsageCharge

__all__ = ["AIModelEndpoint"]


class AIModelEndpoint(InputModel, kw_only=True):
    """A model reached through an API account; ``cost_data`` overrides the model's prices."""

    api: AIModelAPI
    ai_model: BaseAIModel
    order: int = 0
    enabled: bool = True
    cost_data: ChatModelCostData | None = None
    reference_number: str | None = None

    def get_cost_data(self) -> ChatModelCostData | None:
        """The endpoint's prices, else the model's."""
        return self.cost_data or self.ai_model.get_cost_data()

    def calculate_usage_charge(self, usage: ChatResponseUsage) -> UsageCharge | None:
        """What ``usage`` costs here; ``None`` if no prices are known.

        Raises:
            TypeError: If ``usage`` is not a ChatResponseUsage.
        """
        costs = self.get_cost_data()
        return costs.calculate_usage_charge(usage) if costs else None
