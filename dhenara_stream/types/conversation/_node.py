"""One turn of a conversation, to be kept and told again."""

from __future__ import annotations

from dhenara_stream.types.genai.dhenara.request import Prompt, PromptConfig, PromptMessageRoleEnum
from dhenara_stream.types.genai.dhenara.response import ChatResponse
from dhenara_stream.types.shared.base import InputModel
from dhenara_stream.types.shared.file import GenericFile

__all__ = ["ConversationNode"]


class ConversationNode(InputModel, kw_only=True):
    """What the user asked, and what the model answered.

    Attributes:
        user_query: What was asked.
        input_files: The files that belong to it.
        response: The answer; ``None`` if there is none yet.
        timestamp: When; for the caller's own use.
    """

    user_query: str
    input_files: list[GenericFile] = []
    response: ChatResponse | None = None
    timestamp: str | None = None

    def get_prompt(
        self, max_words_query: int | None = None, max_words_file: int | None = None
    ) -> Prompt:
        """The question, as ``prompt`` of a call."""
        return Prompt(
            role=PromptMessageRoleEnum.USER,
            text=self.user_query,
            files=self.input_files,
            config=PromptConfig(max_words_text=max_words_query, max_words_file=max_words_file),
        )

    def get_context(
        self,
        max_words_query: int | None = None,
        max_words_file: int | None = None,
        max_words_response: int | None = None,
    ) -> list[Prompt]:
        """The question, and the answer if there is one, for ``context`` of a later call."""
        question = self.get_prompt(max_words_query, max_words_file)
        answer = (
            self.response.to_prompt(max_words_text=max_words_response) if self.response else None
        )
        return [question] if answer is None else [question, answer]
