"""Providers, models, endpoints, prices, usage."""

from ._api import AIModelAPI
from ._costs import ChatModelCostData, HostedToolCostRule
from ._endpoint import AIModelEndpoint
from ._enums import AIModelAPIProviderEnum, AIModelFunctionalTypeEnum, AIModelProviderEnum
from ._models import AIModel, BaseAIModel, ChatModelSettings, FoundationModel, ValidOptionValue
from ._usage import ChatResponseUsage, HostedToolUsage, UsageCharge, UsageChargeComponent

__all__ = [
    "AIModel",
    "AIModelAPI",
    "AIModelAPIProviderEnum",
    "AIModelEndpoint",
    "AIModelFunctionalTypeEnum",
    "AIModelProviderEnum",
    "BaseAIModel",
    "ChatModelCostData",
    "ChatModelSettings",
    "ChatResponseUsage",
    "FoundationModel",
    "HostedToolCostRule",
    "HostedToolUsage",
    "UsageCharge",
    "UsageChargeComponent",
    "ValidOptionValue",
]
