"""dhenara-ai's path to the prompt types."""

from .._prompt import Content, Prompt, PromptMessageRoleEnum, PromptText, SystemInstruction

__all__ = ["Content", "Prompt", "PromptMessageRoleEnum", "PromptText", "SystemInstruction"]
