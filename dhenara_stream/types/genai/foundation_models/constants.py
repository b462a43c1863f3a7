"""The chat models of every maker, in lists."""

from dhenara_stream.types.genai.ai_model import FoundationModel

from .anthropic.chat import CHAT_MODELS as ANTHROPIC_CHAT_MODELS
from .deepseek.chat import CHAT_MODELS as DEEPSEEK_CHAT_MODELS
from .google.chat import CHAT_MODELS as GOOGLE_CHAT_MODELS
from .openai.chat import CHAT_MODELS as OPENAI_CHAT_MODELS

__all__ = [
    "ALL_CHAT_MODELS",
    "ALL_FOUNDATION_MODELS",
    "ANTHROPIC_CHAT_MODELS",
    "DEEPSEEK_CHAT_MODELS",
    "GOOGLE_CHAT_MODELS",
    "OPENAI_CHAT_MODELS",
]

ALL_CHAT_MODELS: list[FoundationModel] = [
    *OPENAI_CHAT_MODELS,
    *GOOGLE_CHAT_MODELS,
    *ANTHROPIC_CHAT_MODELS,
    *DEEPSEEK_CHAT_MODELS,
]
ALL_FOUNDATION_MODELS: list[FoundationModel] = list(ALL_CHAT_MODELS)
