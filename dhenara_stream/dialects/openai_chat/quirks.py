"""How a server's Chat Completions differ from OpenAI's, as data."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["PATH", "Quirks"]

PATH = "/v1/chat/completions"


class Quirks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one server takes; the defaults are OpenAI's.

    Attributes:
        limit_field: The name of the limit on output tokens.
        always_limit: Whether the model's own limit is sent where the caller sets none: for
            servers that cut answers earlier by default.
        seed_field: The name of the seed.
        user_field: The field that tells who the user is; ``None`` if there is none.
        max_stops: How many stop sequences are taken.
        more_sampling: Whether ``top_k``, ``min_p``, ``repetition_penalty`` and the like are taken.
        unsupported: Body fields that the server refuses for every model.
        stream_options: Whether a stream's usage can, and must, be asked for.
        lenient_end: Whether answers are complete without a finish reason.

        system_role: Who speaks the instructions.
        cache_marks: Whether Anthropic's ``cache_control`` may stand on parts and tools.
        empty_content: What stands for the text of a message that only calls tools.
        refusals: Whether a refusal of the assistant's has a field; it goes as text otherwise.
        strict_turns: Whether the user must speak first, and never right after a tool.
        prefill: What an assistant's text in the last place must bear for the model to go on with
            it: nothing (``plain``), ``"prefix": true``, or it is not taken at all.
        call_ids: Which ids of tool calls are taken; ``alnum9`` is exactly nine letters or digits.
        images: Where images may come from; ``data`` is inline only.
        pdfs: How a PDF is sent; ``file`` is inline only, ``file_url`` may be an address.
        audio: Whether recorded sound is taken.

        reasoning: How it is asked for: ``effort`` is ``reasoning_effort``; ``object`` is
            OpenRouter's ``reasoning``; ``thinking`` is DeepSeek's ``thinking`` with
            ``reasoning_effort``; ``none`` is not at all.
        none_effort: Whether reasoning models whose sampling parameters are not refused know the
            effort ``none``, and take those parameters only then.
        reasoning_replay: In which of the assistant's turns its reasoning goes back.
        reasoning_field: How it goes back; ``thinking`` is Mistral's part of the content, and
            ``received`` is the name it came by.
        reasoning_required: Whether each turn that calls tools must have reasoning while the
            model reasons: a space stands for what is not known.

        tools: Whether there are tools at all.
        tool_choice: What can be forced: one tool by name, any tool by a word, or none.
        required_word: The word that forces any tool.
        parallel_tool_calls: Whether calls at the same time can be forbidden.
        forced_tools_while_reasoning: Whether tools can be forced while the model reasons.
        strict_schemas: Whether schemas are compiled where they are asked to be strict.
        structured_output: How an answer is made to fit a schema. With ``json_object`` the schema
            is told in words.
        format_with_tools: Whether a response format and tools go together.
        web_search: How the server's own search is asked for: ``options`` is OpenAI's
            ``web_search_options``, and ``search_models`` that field for models alone whose name
            holds ``-search-``, as OpenAI has it; ``server_tool`` is OpenRouter's tool;
            ``domain_filter`` is Perplexity's, which always searches.
    """

    limit_field: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    always_limit: bool = False
    seed_field: Literal["seed", "random_seed"] = "seed"
    user_field: Literal["safety_identifier", "user"] | None = "safety_identifier"
    max_stops: int = 4
    more_sampling: bool = False
    unsupported: tuple[str, ...] = ()
    stream_options: bool = True
    lenient_end: bool = False

    system_role: Literal["system", "developer"] = "system"
    cache_marks: bool = False
    empty_content: Literal["null", "empty", "absent"] = "null"
    refusals: bool = True
    strict_turns: bool = False
    prefill: Literal["plain", "prefix", "none"] = "plain"
    call_ids: Literal["any", "alnum9"] = "any"
    images: Literal["any", "data", "none"] = "any"
    pdfs: Literal["file", "file_url", "document_url", "none"] = "file"
    audio: bool = True

    reasoning: Literal["effort", "object", "thinking", "none"] = "effort"
    none_effort: bool = True
    reasoning_replay: Literal["never", "tool_turns", "always"] = "never"
    reasoning_field: Literal[
        "reasoning_content", "reasoning", "reasoning_details", "thinking", "received"
    ] = "reasoning_content"
    reasoning_required: bool = False

    tools: bool = True
    tool_choice: Literal["named", "word", "none"] = "named"
    required_word: Literal["required", "any"] = "required"
    parallel_tool_calls: bool = True
    forced_tools_while_reasoning: bool = True
    strict_schemas: bool = True
    structured_output: Literal["json_schema", "json_object", "tool"] = "json_schema"
    format_with_tools: bool = True
    web_search: Literal["options", "search_models", "server_tool", "domain_filter", "none"] = (
        "search_models"
    )
