"""dhenara-ai's path to the prompt types."""

from dhenara_stream.types.genai.dhenara.request._prompt import (
    Content,
    Prompt,
    PromptMessageRoleEnum,
    PromptText,
    SystemInstruction,
)

__all__ = ["Content", "Prompt", "PromptMessageRoleEnum", "PromptText", "SystemInstruction"]
