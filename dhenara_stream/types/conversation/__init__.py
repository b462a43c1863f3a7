"""A conversation, turn by turn."""

from ._node import ConversationNode

__all__ = ["ConversationNode"]
