"""Anthropic's models."""

from .chat import CHAT_MODELS

__all__ = ["CHAT_MODELS"]
