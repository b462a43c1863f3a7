"""The makers' models, ready to use: one constant each in ``<maker>.chat``."""

from .constants import (
    ALL_CHAT_MODELS,
    ALL_FOUNDATION_MODELS,
    ANTHROPIC_CHAT_MODELS,
    DEEPSEEK_CHAT_MODELS,
    GOOGLE_CHAT_MODELS,
    OPENAI_CHAT_MODELS,
)
from .fns import FoundationModelFns

__all__ = [
    "ALL_CHAT_MODELS",
    "ALL_FOUNDATION_MODELS",
    "ANTHROPIC_CHAT_MODELS",
    "DEEPSEEK_CHAT_MODELS",
    "GOOGLE_CHAT_MODELS",
    "OPENAI_CHAT_MODELS",
    "FoundationModelFns",
]
