"""The request and response types of a chat call."""

from .request import PromptMessageRoleEnum

__all__ = ["PromptMessageRoleEnum"]
