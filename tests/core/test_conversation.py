"""The arguments of a call as turns; each wrong argument is named."""

from typing import Any

import pytest

from dhenara_stream.core.conversation import TextPart, Turn, conversation
from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import AIModelProviderEnum
from dhenara_stream.types.genai.dhenara.request import (
    Prompt,
    PromptConfig,
    PromptText,
    SystemInstruction,
    TextTemplate,
    TextTemplateVariableProps,
    ToolCallResult,
    ToolCallResultsMessage,
)
from dhenara_stream.types.genai.dhenara.response import (
    ChatMessageContentPart,
    ChatResponse,
    ChatResponseChoice,
    ChatResponseContentItem,
    ChatResponseTextContentItem,
    ChatResponseToolCall,
    ChatResponseToolCallContentItem,
)
from dhenara_stream.types.shared.file import FilePayload, GenericFile, StoredFile


def turns(**arguments: Any) -> list[Turn]:
    return said(**arguments)[1]


def said(**arguments: Any) -> tuple[list[SystemInstruction], list[Turn]]:
    given = dict.fromkeys(("prompt", "context", "instructions", "messages")) | arguments
    return conversation(**given)


def answer(*items: ChatResponseContentItem | str | None) -> ChatResponse:
    """An answer of texts and of tool calls with the given ids."""
    contents = [call(item) if item is None or isinstance(item, str) else item for item in items]
    choice = ChatResponseChoice(index=0, contents=contents)
    return ChatResponse(model="m", provider=AIModelProviderEnum.ANTHROPIC, choices=[choice])


def call(call_id: str | None) -> ChatResponseToolCallContentItem:
    return ChatResponseToolCallContentItem(
        tool_call=ChatResponseToolCall(call_id=call_id, name="look")
    )


def text(content: str) -> ChatResponseTextContentItem:
    part = ChatMessageContentPart(type="output_text", text=content)
    return ChatResponseTextContentItem(message_contents=[part])


CHOOSY = PromptText(
    template=TextTemplate(
        text="in $var{tone}", variables={"tone": TextTemplateVariableProps(allowed=["jest"])}
    )
)
HI = Turn("user", [TextPart("hi")])


@pytest.mark.parametrize(
    "prompt",
    [
        "hi",
        Prompt(text="hi"),
        {"text": "hi"},
        {"role": "user", "text": {"content": {"text": "hi"}}},
        {"type": "prompt", "text": "hi"},
    ],
)
def test_a_prompt_comes_in_many_forms(prompt: Any) -> None:
    assert turns(prompt=prompt) == [HI]
    assert turns(messages=[prompt]) == [HI]
    assert turns(messages=prompt) == [HI]
    assert turns(prompt=prompt, context=[]) == [HI]


def test_context_comes_before_the_prompt_and_neighbours_become_one_turn() -> None:
    context = ["a", Prompt(role="assistant", text="b"), {"text": "c", "cache_control": "1h"}]  # type: ignore[arg-type]
    assert turns(context=context, prompt="d") == [
        Turn("user", [TextPart("a")]),
        Turn("assistant", [TextPart("b")]),
        Turn("user", [TextPart("c", "1h"), TextPart("d")]),
    ]
    assert turns(context="a", prompt="d") == [Turn("user", [TextPart("a"), TextPart("d")])]


def test_what_is_only_white_space_is_left_out() -> None:
    assert turns(messages=[" \n", "hi", Prompt(role="assistant", text="\t")]) == [HI]  # type: ignore[arg-type]
    assert said(prompt="hi", instructions=["", " ", {"text": "\n"}]) == ([], [HI])
    system, said_turns = said(messages=[Prompt(role="system", text=" "), "hi"])  # type: ignore[arg-type]
    assert (system, said_turns) == ([], [HI])


@pytest.mark.parametrize(
    "instructions",
    [
        "be brief",
        ["be brief"],
        {"text": "be brief"},
        SystemInstruction(text="be brief"),
        [SystemInstruction(text="be brief")],
        [Prompt(text="be brief")],
    ],
)
def test_instructions_come_in_many_forms(instructions: Any) -> None:
    system, _ = said(prompt="hi", instructions=instructions)
    assert system == [SystemInstruction(text="be brief")]


def test_system_prompts_among_the_messages_become_instructions() -> None:
    messages = [{"role": "system", "text": "b", "cache_control": "5m"}, "hi"]
    system, said_turns = said(instructions="a", messages=messages)
    assert system == [SystemInstruction(text="a"), SystemInstruction(text="b", cache_control="5m")]
    assert said_turns == [HI]


def test_files_come_before_the_text_and_may_stand_alone() -> None:
    image = StoredFile.from_bytes(b"\x89PNG", "a.png")
    words = StoredFile.from_bytes(b"one two three", "b.txt")
    prompt = Prompt(text="see", files=[image, words], config=PromptConfig(max_words_file=2))
    payload = FilePayload(name="a.png", media_type="image/png", data=b"\x89PNG")
    short = FilePayload(name="b.txt", media_type="text/plain", data=b"one two")
    assert turns(prompt=prompt) == [Turn("user", [payload, short, TextPart("see")])]
    assert turns(prompt=Prompt(text="", files=[image])) == [Turn("user", [payload])]
    marked = FilePayload(name="a.png", media_type="image/png", data=b"\x89PNG", cache_control="5m")
    alone = Prompt(text="", files=[image], cache_control="5m")
    assert turns(prompt=alone) == [Turn("user", [marked])]


def test_a_limit_on_words_leaves_a_file_that_the_provider_fetches() -> None:
    file = StoredFile.from_url("https://example.com/a.txt")
    prompt = Prompt(text="see", files=[file], config=PromptConfig(max_words_file=2))
    payload = FilePayload(
        name="a.txt", media_type="text/plain", url="https://example.com/a.txt", data=None
    )
    assert turns(prompt=prompt) == [Turn("user", [payload, TextPart("see")])]


def test_results_answer_the_calls_of_the_answer_before() -> None:
    first, second = answer(text("so"), "1", "2"), answer(None)
    results = [ToolCallResult(call_id=i, output=i) for i in ("1", "2")]
    unnamed = ToolCallResult(output="x")
    messages = [
        "hi",
        first,
        ToolCallResultsMessage(results=results),
        second,
        {"type": "tool_result", "output": "x"},
        "go on",
    ]
    assert turns(messages=messages) == [
        HI,
        Turn("assistant", [first]),
        Turn("user", [*results]),
        Turn("assistant", [second]),
        Turn("user", [unnamed, TextPart("go on")]),
    ]


def test_words_may_come_before_the_result_that_answers() -> None:
    asked = answer("1")
    said_turns = turns(messages=["hi", asked, "here", RESULT])
    assert said_turns[2] == Turn("user", [TextPart("here"), RESULT])


def test_the_error_names_all_calls_without_an_answer_and_what_to_do() -> None:
    with pytest.raises(ConfigError) as caught:
        turns(messages=["a", answer("1", "2")])
    assert caught.value.message == (
        "messages: no ToolCallResult for tool call '1', '2'; each call must be answered right "
        "after the response that holds it, one that does not parse with its parse_error"
    )


def test_dumped_messages_are_taken_too() -> None:
    whole = answer("1")
    results = ToolCallResultsMessage(results=[ToolCallResult(call_id="1", output="x")])
    messages = ["hi", whole.model_dump(), results.model_dump()]
    assert turns(messages=messages) == turns(messages=["hi", whole, results])


def test_an_answer_alone_is_a_conversation() -> None:
    whole = answer(text("so"))
    assert turns(messages=whole) == [Turn("assistant", [whole])]


RESULT = ToolCallResult(call_id="1", output="x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "prompt: give prompt or messages"),
        ({"prompt": ""}, "prompt: is empty"),
        ({"prompt": " ", "context": ["a"]}, "prompt: is empty"),
        ({"messages": []}, "prompt: the conversation is empty"),
        ({"messages": [" "]}, "prompt: the conversation is empty"),
        ({"messages": ["a"], "prompt": "b"}, "messages: give either messages or prompt"),
        ({"messages": ["a"], "context": ["b"]}, "messages: give either messages or prompt"),
        ({"messages": 3}, "messages: expected a list, got `int`"),
        ({"messages": b"hi"}, "messages: expected a list, got `bytes`"),
        ({"messages": ["a", 3]}, r"messages\[1\]: expected text, a dict.*got `int`"),
        ({"prompt": ["a"]}, "prompt: expected text, a dict.*got `list`"),
        ({"prompt": "a", "context": 3}, "context: expected a list, got `int`"),
        ({"prompt": "a", "context": [3]}, r"context\[0\]: expected text"),
        ({"prompt": {"content": "a"}}, "prompt: Prompt: no field 'content'"),
        ({"messages": [{"type": "tool_result", "id": 1}]}, r"messages\[0\]: ToolCallResult: no"),
        ({"prompt": Prompt(text=CHOOSY, variables={"tone": "x"})}, "prompt: prompt variable"),
        ({"prompt": Prompt(text="", files=[GenericFile(name="a")])}, r"prompt.files\[0\]: file"),
        ({"prompt": "a", "instructions": 3}, "instructions: expected a list, got `int`"),
        ({"prompt": "a", "instructions": [3]}, r"instructions\[0\]: expected text.*got `int`"),
        ({"prompt": "a", "instructions": [{"role": "x"}]}, r"instructions\[0\]: SystemInst.* no"),
        (
            {
                "prompt": "a",
                "instructions": ["b", SystemInstruction(text=CHOOSY, variables={"tone": "x"})],
            },
            r"instructions\[1\]: prompt variable 'tone'",
        ),
        (
            {"messages": [Prompt(role="system", text=CHOOSY, variables={"tone": "x"})]},  # type: ignore[arg-type]
            r"messages\[0\]: prompt variable 'tone'",
        ),
        (
            {"messages": [{"role": "system", "text": "a", "files": [{"name": "f"}]}]},
            r"messages\[0\].files: a system prompt holds text only",
        ),
        (
            {"prompt": "a", "instructions": ["b", Prompt(text="c", files=[GenericFile(name="f")])]},
            r"instructions\[1\].files: a system prompt holds text only",
        ),
        (
            {"messages": [ChatResponse(model="m", provider=AIModelProviderEnum.CUSTOM)]},
            r"messages\[0\]: the ChatResponse has no choices",
        ),
        ({"messages": ["a", answer("1")]}, "messages: no ToolCallResult for tool call '1'; each"),
        ({"messages": ["a", answer("1"), "b"]}, "messages: no ToolCallResult for tool call '1'"),
        (
            {"messages": ["a", answer("1", "2"), RESULT, "b", answer("3")]},
            "messages: no ToolCallResult for tool call '2'",
        ),
        ({"messages": ["a", answer(None)]}, "messages: no ToolCallResult for tool call None"),
        (
            {"messages": RESULT},
            r"messages: the ToolCallResult for '1' answers no tool call.*waiting: \[\]",
        ),
        (
            {"messages": ["a", answer("1"), RESULT, RESULT]},
            r"messages: the ToolCallResult for '1' answers no tool call",
        ),
        (
            {"messages": ["a", answer("1"), RESULT, answer(text("so")), RESULT]},
            r"messages: the ToolCallResult for '1' answers no tool call",
        ),
    ],
)
def test_wrong_arguments_are_named(arguments: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}"):
        turns(**arguments)


def test_the_cause_of_a_file_that_cannot_be_read_is_kept() -> None:
    missing = StoredFile(name="a.txt", path="/no/such/file")
    with pytest.raises(ConfigError, match=r"prompt.files\[0\]: cannot read") as caught:
        turns(prompt=Prompt(text="see", files=[missing]))
    assert isinstance(caught.value.__cause__, FileNotFoundError)
