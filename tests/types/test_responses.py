"""Answers: their text, tool calls and data, and what becomes of them in a dump and a next turn."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Any, NoReturn, Self

import msgspec
import pytest
from samples import answer, full_answer, generic, reasoning, structured, text, tool_call

from dhenara_stream.errors import ConfigError
from dhenara_stream.types import (
    AIModelCallResponse,
    AIModelProviderEnum,
    CallTiming,
    ChatResponse,
    ChatResponseChoiceDelta,
    ChatResponseChunk,
    ChatResponseContentItemType,
    ChatResponseGenericContentItem,
    ChatResponseGenericContentItemDelta,
    ChatResponseReasoningContentItem,
    ChatResponseReasoningContentItemDelta,
    ChatResponseStructuredOutput,
    ChatResponseStructuredOutputContentItem,
    ChatResponseTextContentItem,
    ChatResponseTextContentItemDelta,
    ChatResponseToolCall,
    ChatResponseToolCallContentItem,
    ChatResponseToolCallContentItemDelta,
    ChatResponseToolCallResult,
    ExternalApiCallStatus,
    ExternalApiCallStatusEnum,
    Prompt,
    PromptMessageRoleEnum,
    SSEEventType,
    StreamingChatResponse,
    StreamItem,
    StructuredOutputConfig,
)

ITEM_CLASSES = [
    ChatResponseReasoningContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCallContentItem,
    ChatResponseStructuredOutputContentItem,
    ChatResponseGenericContentItem,
]

# --- text, refusal, reasoning, tools


def test_the_text_is_that_of_all_blocks_of_the_first_choice() -> None:
    response = answer(
        [reasoning("why"), text("a", "b"), tool_call(), text("c"), generic()], [text("no")]
    )
    assert response.text() == "abc"
    assert response.refusal() is None
    assert response.reasoning() == "why"


def test_the_text_of_structured_output_is_text_too() -> None:
    assert answer([structured('{"a": 1}')]).text() == '{"a": 1}'


def test_a_refusal_is_no_text() -> None:
    response = answer([text("I can", "not", kind="refusal")])
    assert response.refusal() == "I cannot"
    assert response.text() is None
    both = answer([text("Well. "), text("No.", kind="refusal"), text("Sorry.")])
    assert (both.text(), both.refusal()) == ("Well. Sorry.", "No.")


def test_reasoning_is_what_is_shown_else_its_summary() -> None:
    assert answer([reasoning("a", "x"), reasoning(None, "b"), text("t")]).reasoning() == "ab"
    assert answer([reasoning()]).reasoning() is None


@pytest.mark.parametrize("response", [answer(), answer(None), answer([]), answer([generic()])])
def test_what_is_not_there_is_none(response: ChatResponse) -> None:
    assert response.text() is None
    assert response.refusal() is None
    assert response.reasoning() is None
    assert response.tools() == []
    assert response.structured() is None
    assert response.structured_unprocessed() is None
    assert response.structured_instance() is None


def test_a_part_without_text_says_nothing() -> None:
    item = text("a")
    assert item.message_contents is not None
    item.message_contents[0].text = None
    assert answer([item]).text() is None
    assert item.get_text() == ""
    assert ChatResponseTextContentItem().get_text() == ""


def test_tools_are_the_calls_of_the_first_choice_in_order() -> None:
    calls = answer([tool_call("f", "1"), text("x"), tool_call("g", "2")], [tool_call()]).tools()
    assert [(call.name, call.call_id) for call in calls] == [("f", "1"), ("g", "2")]
    assert calls[0].arguments == {"a": 1}
    assert (calls[0].raw_arguments, calls[0].parse_error) == (None, None)


def test_a_call_that_does_not_parse_shows_its_text_and_the_reason() -> None:
    call = ChatResponseToolCall(name="f", raw_arguments="{", parse_error="cut")
    item = ChatResponseToolCallContentItem(tool_call=call)
    assert (item.arguments, item.raw_arguments, item.parse_error) == ({}, "{", "cut")
    assert call.raw_data == "{"


# --- by type


def test_first_finds_a_block_of_a_type_over_all_choices() -> None:
    response = answer([text("a")], [tool_call(), text("b")])
    found = response.first(ChatResponseContentItemType.TOOL_CALL)
    assert isinstance(found, ChatResponseToolCallContentItem)
    assert response.first("text") == text("a")
    assert response.first("reasoning") is None
    with pytest.raises(ConfigError, match=r"^unknown content type 'image' \(known: text, reas"):
        response.first("image")


def test_as_text_is_all_blocks_with_a_blank_line_between() -> None:
    response = answer([reasoning("why"), text("a"), text("")], [text("b")])
    assert response.as_text() == "why\n\na\n\nb"
    assert response.as_text(["text"]) == "a\n\nb"
    assert response.as_text([ChatResponseContentItemType.REASONING]) == "why"
    assert response.as_text(["tool_call"]) is None
    with pytest.raises(ValueError, match="unknown content type 'image'"):
        response.as_text(["image"])


def test_each_block_is_text_for_people() -> None:
    assert text("a", "b").get_text() == "ab"
    assert reasoning("a", "b").get_text() == "a"
    assert reasoning(None, "b").get_text() == "b"
    assert reasoning().get_text() == ""
    assert tool_call().get_text().startswith("Tool call: {'call_id': 'c1', 'name': 'f', 'argum")
    assert generic().get_text() == "{'type': 'new_kind', 'x': 1}"
    assert structured().get_text() == '{"a": 1}'


# --- structured output


class City(msgspec.Struct):
    name: str


def city_answer(raw: str) -> ChatResponse:
    """An answer that had to be a ``City``."""
    output = ChatResponseStructuredOutput.from_text(raw, StructuredOutputConfig.from_model(City))
    return answer([ChatResponseStructuredOutputContentItem(structured_output=output)])


def test_structured_output_is_data_and_an_instance_of_the_class() -> None:
    response = city_answer('{"name": "Paris"}')
    assert response.structured() == {"name": "Paris"}
    assert response.structured_instance() == City(name="Paris")
    assert response.structured_pyd() == City(name="Paris")
    unprocessed = response.structured_unprocessed()
    assert unprocessed is not None
    assert unprocessed.raw_data == '{"name": "Paris"}'


def test_structured_output_that_does_not_fit_is_none_and_says_why() -> None:
    response = city_answer('{"town": "Paris"}')
    assert response.structured() is None
    assert response.structured_instance() is None
    unprocessed = response.structured_unprocessed()
    assert unprocessed is not None
    assert "name" in (unprocessed.parse_error or "")
    assert unprocessed.raw_data == '{"town": "Paris"}'


def test_structured_output_from_a_dump_is_data_for_want_of_the_class() -> None:
    again = ChatResponse.from_dict(city_answer('{"name": "Paris"}').model_dump())
    assert again.structured_instance() == {"name": "Paris"}


# --- the next turn


def test_a_message_item_is_a_copy_with_every_block_of_one_choice() -> None:
    response = full_answer()
    item = response.to_message_item()
    assert item == response
    assert item.choices[0].contents is not response.choices[0].contents
    item.tools()[0].arguments["a"] = 2
    assert response == full_answer()


def test_a_message_item_has_the_choice_that_is_asked_for() -> None:
    response = answer([text("a")], [text("b")])
    assert response.to_message_item(1).text() == "b"
    for index in (2, -1):
        with pytest.raises(ConfigError, match=rf"^to_message_item: no choice {index}, the resp"):
            response.to_message_item(index)


def test_a_prompt_of_an_answer_is_its_text_by_the_assistant() -> None:
    response = answer([reasoning("why"), text(""), text("a b c")], [text("x")])
    prompt = response.to_prompt()
    assert prompt == Prompt(role=PromptMessageRoleEnum.ASSISTANT, text="why\na b c")
    assert response.to_prompt(max_words_text=2) == Prompt(
        role=PromptMessageRoleEnum.ASSISTANT, text="why\na"
    )
    second = response.to_prompt(1)
    assert second is not None
    assert second.text == "x"
    assert response.to_prompt(2) is None
    assert answer(None).to_prompt() is None
    assert answer([text("")]).to_prompt() is None


# --- dumps


def test_a_dump_comes_back_with_every_class() -> None:
    response = full_answer()
    for dumped in (
        response.model_dump(),
        response.model_dump(exclude_none=False),
        response.model_dump(mode="json"),
        json.loads(response.model_dump_json()),
    ):
        again = ChatResponse.from_dict(dumped)
        assert again == response
        contents = again.choices[0].contents
        assert contents is not None
        assert [type(item) for item in contents] == ITEM_CLASSES


def test_an_item_knows_its_type_and_shows_it_in_a_dump() -> None:
    for item in (reasoning("a"), text("a"), tool_call(), structured(), generic()):
        assert item.type == item.model_dump()["type"]
        assert isinstance(item.type, ChatResponseContentItemType)


def test_fields_that_a_newer_version_wrote_are_left_out() -> None:
    dumped = full_answer().model_dump()
    dumped["new_field"] = 1
    dumped["choices"][0]["contents"][1]["new_field"] = 1
    assert ChatResponse.from_dict(dumped) == full_answer()


def test_a_preview_has_no_content() -> None:
    preview = full_answer().preview_dict()
    assert "choices" not in preview
    assert "provider_response" not in preview
    assert preview["choices_summary"] == [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "contents": ["reasoning", "text", "tool_call", "structured_output", "generic"],
        }
    ]
    assert json.loads(json.dumps(preview)) == preview
    assert answer(None).preview_dict()["choices_summary"][0]["contents"] == []


def test_the_visible_fields_are_without_the_providers_own_objects() -> None:
    visible = full_answer().get_visible_fields()
    assert visible["choices"]
    assert not visible.keys() & {"metadata", "provider_response"}
    chunk = ChatResponseChunk(model="m", provider=AIModelProviderEnum.CUSTOM)
    assert chunk.get_visible_fields() == {
        "model": "m",
        "provider": "custom",
        "choice_deltas": [],
        "done": False,
    }


# --- pieces


def test_each_piece_gives_its_text() -> None:
    assert ChatResponseTextContentItemDelta(text_delta="a").get_text_delta() == "a"
    assert ChatResponseTextContentItemDelta().get_text_delta() is None
    thought = ChatResponseReasoningContentItemDelta(text_delta="a")
    assert (thought.get_text_delta(), thought.get_thinking_summary_delta()) == ("a", None)
    summary = ChatResponseReasoningContentItemDelta(text_delta="", thinking_summary_delta="b")
    assert (summary.get_text_delta(), summary.get_thinking_summary_delta()) == ("b", "b")
    assert ChatResponseToolCallContentItemDelta(arguments_delta="{").get_text_delta() == "{"
    assert ChatResponseGenericContentItemDelta(metadata={"a": 1}).get_text_delta() is None


def test_a_chunk_is_an_event_of_the_token_stream() -> None:
    chunk = ChatResponseChunk(
        model="m",
        provider=AIModelProviderEnum.CUSTOM,
        choice_deltas=[ChatResponseChoiceDelta(index=0)],
    )
    event = StreamingChatResponse(data=chunk)
    assert event.event == SSEEventType.TOKEN_STREAM
    assert (event.id, event.retry, event.is_error()) == (None, None, False)
    assert (chunk.done, chunk.usage, chunk.metadata) == (False, None, None)


def test_the_result_of_a_tool_has_its_name() -> None:
    assert ChatResponseToolCallResult(tool_name="f", result=1).model_dump() == {
        "tool_name": "f",
        "result": 1,
    }


# --- the response of a call


def status(state: ExternalApiCallStatusEnum) -> ExternalApiCallStatus:
    """A status in this state."""
    return ExternalApiCallStatus(
        status=state, api_provider="anthropic", model="m", timing=CallTiming(attempts=1)
    )


@pytest.mark.parametrize("state", ExternalApiCallStatusEnum)
def test_only_a_complete_answer_is_a_success(state: ExternalApiCallStatusEnum) -> None:
    expected = state == ExternalApiCallStatusEnum.RESPONSE_RECEIVED_SUCCESS
    assert status(state).successful is expected


class Untouchable:
    """A stream that must not be read; it knows its own snapshot."""

    def _touched(self) -> NoReturn:
        raise AssertionError("the stream was touched")

    @property
    def status(self) -> ExternalApiCallStatus:
        self._touched()

    def snapshot(self) -> AIModelCallResponse:
        return AIModelCallResponse(chat_response=answer([text("so far")]))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        self._touched()

    def __iter__(self) -> Iterator[StreamItem]:
        self._touched()

    def __next__(self) -> StreamItem:
        self._touched()

    def close(self) -> None:
        self._touched()

    def __enter__(self) -> Self:
        self._touched()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._touched()

    def __aiter__(self) -> AsyncIterator[StreamItem]:
        self._touched()

    async def __anext__(self) -> StreamItem:
        self._touched()

    async def aclose(self) -> None:
        self._touched()

    async def __aenter__(self) -> Self:
        self._touched()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._touched()


STREAM = Untouchable()


@pytest.mark.parametrize(
    "response",
    [
        AIModelCallResponse(sync_stream_generator=STREAM),
        AIModelCallResponse(async_stream_generator=STREAM),
        AIModelCallResponse(chat_response=full_answer(), sync_stream_generator=STREAM),
    ],
    ids=["sync", "async", "with an answer"],
)
def test_nothing_but_iterating_touches_the_stream(response: AIModelCallResponse) -> None:
    for dumped in (
        response.model_dump(),
        response.model_dump(mode="json", exclude_none=False),
        response.model_dump_safe(exclude={"status"}),
        json.loads(response.model_dump_json()),
        json.loads(response.model_dump_json(exclude=["status"], indent=2)),
    ):
        assert not dumped.keys() & {"sync_stream_generator", "async_stream_generator"}
    assert response.stream_generator is STREAM
    assert response.snapshot().full_response == answer([text("so far")])
    assert "Untouchable" in repr(response)
    for same in (
        response.model_copy(),
        response.model_copy(deep=True),
        copy.copy(response),
        copy.deepcopy(response),
    ):
        assert same == response
        assert same.stream_generator is STREAM
    assert response.preview_dict() == (
        full_answer().preview_dict() if response.chat_response else None
    )


def test_a_deep_copy_of_a_response_shares_only_the_stream() -> None:
    state = status(ExternalApiCallStatusEnum.REQUEST_SEND)
    response = AIModelCallResponse(
        status=state, chat_response=full_answer(), sync_stream_generator=STREAM
    )
    copied = copy.deepcopy(response)
    state.message = "changed"
    assert copied.status is not None
    assert copied.status.message == ""
    assert copied.chat_response == response.chat_response
    assert copied.chat_response is not response.chat_response


def test_without_a_stream_the_response_is_its_own_snapshot() -> None:
    response = AIModelCallResponse(chat_response=full_answer())
    assert response.snapshot() is response
    assert response.stream_generator is None
    assert response.full_response is response.chat_response
    again = AIModelCallResponse.model_validate_json(response.model_dump_json())
    assert again == response
    with_status = AIModelCallResponse(status=status(ExternalApiCallStatusEnum.RESPONSE_TIMEOUT))
    assert AIModelCallResponse.model_validate(with_status.model_dump()) == with_status
    assert with_status.model_dump(exclude=["status"]) == {}
