"""The import paths and names that code written for dhenara-ai's chat streaming uses."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import dhenara_stream
from dhenara_stream import types

PATHS = {
    "dhenara_stream": "AIModelClient __version__",
    "dhenara_stream.types": """
        AIModel AIModelAPI AIModelAPIProviderEnum AIModelCallConfig AIModelCallResponse
        AIModelCallResponseMetaData AIModelEndpoint AIModelFunctionalTypeEnum AIModelProviderEnum
        ChatMessageContentPart ChatModelCostData ChatModelSettings ChatResponse ChatResponseChoice
        ChatResponseChoiceDelta ChatResponseChunk ChatResponseContentItemType ChatResponseUsage
        Content ContentType ExternalApiCallStatus ExternalApiCallStatusEnum FoundationModel
        FunctionDefinition FunctionParameter FunctionParameters Prompt PromptMessageRoleEnum
        PromptText ResourceConfig ResourceConfigItem SSEErrorResponse SSEEventType SSEResponse
        StreamingChatResponse StructuredOutputConfig SystemInstruction TextTemplate ToolCallResult
        ToolCallResultsMessage ToolChoice ToolDefinition UsageCharge WebSearchHostedTool
        """,
    "dhenara_stream.types.shared": """
        SSEErrorCode SSEErrorData SSEErrorResponse SSEEventType SSEResponse
        """,
    "dhenara_stream.types.shared.api": """
        SSEErrorCode SSEErrorData SSEErrorResponse SSEEventType SSEResponse
        """,
    "dhenara_stream.types.shared.base": "BaseEnum BaseModel",
    "dhenara_stream.types.shared.file": """
        FileContentData FileContentFormatEnum FileFormatEnum FileMetadata FileProcessingStatusEnum
        GenericFile GenericFileContent ProcessedFile StoredFile
        """,
    "dhenara_stream.types.genai": """
        ChatMessageContentPart ChatResponse ChatResponseChoice ChatResponseGenericContentItem
        ChatResponseReasoningContentItem ChatResponseStructuredOutput
        ChatResponseStructuredOutputContentItem ChatResponseTextContentItem ChatResponseToolCall
        ChatResponseToolCallContentItem ChatResponseUsage ToolDefinition WebSearchHostedTool
        """,
    "dhenara_stream.types.genai.ai_model": """
        AIModelAPI AIModelEndpoint AIModelFunctionalTypeEnum AIModelProviderEnum ChatModelCostData
        ChatModelSettings ChatResponseUsage FoundationModel HostedToolCostRule HostedToolUsage
        """,
    "dhenara_stream.types.genai.dhenara": "PromptMessageRoleEnum",
    "dhenara_stream.types.genai.dhenara.request": """
        AIModelCallConfig AIModelContextPolicy ArtifactConfig Content FunctionDefinition
        FunctionParameter FunctionParameters Prompt PromptMessageRoleEnum PromptText
        StructuredOutputConfig SystemInstruction ToolCallResult ToolChoice ToolDefinition
        WebSearchHostedTool
        """,
    "dhenara_stream.types.genai.dhenara.request.data": """
        Content Prompt PromptMessageRoleEnum PromptText SystemInstruction
        """,
    "dhenara_stream.types.genai.dhenara.response": """
        AIModelCallResponseMetaData ChatResponse ChatResponseChoice ChatResponseContentItemType
        """,
    "dhenara_stream.types.genai.foundation_models": """
        ALL_CHAT_MODELS ALL_FOUNDATION_MODELS ANTHROPIC_CHAT_MODELS DEEPSEEK_CHAT_MODELS
        FoundationModelFns GOOGLE_CHAT_MODELS OPENAI_CHAT_MODELS
        """,
    "dhenara_stream.types.genai.foundation_models.fns": "FoundationModelFns",
    "dhenara_stream.types.genai.foundation_models.anthropic.chat": "CHAT_MODELS ClaudeSonnet45",
    "dhenara_stream.types.genai.foundation_models.openai.chat": "CHAT_MODELS GPT5",
    "dhenara_stream.types.genai.foundation_models.google.chat": "CHAT_MODELS Gemini25Flash",
    "dhenara_stream.types.genai.foundation_models.deepseek.chat": "CHAT_MODELS DeepseekV4Flash",
    "dhenara_stream.types.conversation": "ConversationNode",
    "dhenara_stream.providers": """
        PROVIDERS SERVICES Provider Quirks Route register_provider register_service
        """,
    "dhenara_stream.types.resource": "ResourceConfig ResourceConfigItem",
}

# Members of structs and of the client, as code for dhenara-ai reads them.
MEMBERS = {
    "AIModelCallResponse": """
        async_stream_generator chat_response full_response preview_dict snapshot status
        stream_generator sync_stream_generator
        """,
    "ChatResponse": """
        as_text choices first from_dict get_visible_fields metadata model preview_dict provider
        reasoning refusal structured structured_pyd structured_unprocessed text to_message_item
        to_prompt tools usage usage_charge
        """,
    "ChatResponseToolCall": "arguments call_id id metadata name parse_error raw_data",
    "SSEResponse": "data event id is_error parse_sse retry set_random_id to_sse_format",
    "AIModelAPI": "get_masked_credentials get_provider_credentials model_dump_safe",
    "AIModelCallConfig": """
        get_max_output_token_limit get_max_output_tokens get_reasoning_token_budget get_user
        """,
    "FoundationModel": """
        clone create_instance get_cost_data get_options_with_defaults get_settings
        get_valid_options is_foundation_model model_name_with_version_suffix validate_options
        """,
    "Prompt": "get_formatted_text with_dad_text with_text",
    "StructuredOutputConfig": "from_model get_model_class get_schema",
    "ToolCallResult": "as_json as_text",
    "ToolDefinition": "from_callable function function_reference",
}
CLIENT = """
    cleanup_async cleanup_sync close aclose generate generate_async
    generate_with_existing_connection generate_with_existing_connection_async
    generate_with_existing_connection_sync __enter__ __exit__ __aenter__ __aexit__
    """


def public_modules() -> list[ModuleType]:
    """The package and all modules of the types but those of the inside."""
    found = pkgutil.walk_packages(types.__path__, "dhenara_stream.types.")
    names = [module.name for module in found if not module.name.rpartition(".")[2].startswith("_")]
    return [importlib.import_module(name) for name in ["dhenara_stream", types.__name__, *names]]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_of_dhenara_has_the_names_that_are_imported_from_it(path: str) -> None:
    module = importlib.import_module(path)
    missing = [name for name in PATHS[path].split() if name not in module.__all__]
    assert missing == []


@pytest.mark.parametrize("name", MEMBERS)
def test_a_type_has_the_members_that_are_read_of_it(name: str) -> None:
    cls = getattr(types, name)
    assert [member for member in MEMBERS[name].split() if not hasattr(cls, member)] == []


def test_the_client_has_the_methods_that_are_called() -> None:
    client = dhenara_stream.AIModelClient
    assert [name for name in CLIENT.split() if not callable(getattr(client, name, None))] == []


@pytest.mark.parametrize("module", public_modules(), ids=lambda module: module.__name__)
def test_a_public_module_lists_what_it_exports_and_all_of_it_is_there(module: ModuleType) -> None:
    assert len(set(module.__all__)) == len(module.__all__)
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert not [name for name in module.__all__ if inspect.ismodule(getattr(module, name))]


def test_the_top_of_the_types_has_all_that_the_packages_below_have() -> None:
    for path in ("shared", "genai", "resource"):
        below = importlib.import_module(f"dhenara_stream.types.{path}")
        inner = {"BaseEnum", "BaseModel", "InputModel"}
        assert set(below.__all__) - inner <= set(types.__all__), path


def test_names_of_one_class_are_one_class() -> None:
    for module in public_modules():
        for name in module.__all__:
            if name in types.__all__:
                assert getattr(module, name) is getattr(types, name), (module.__name__, name)


def test_a_star_import_brings_the_list_and_nothing_else() -> None:
    names: dict[str, object] = {}
    exec("from dhenara_stream.types import *", names)
    assert set(names) - {"__builtins__"} == set(types.__all__)


def test_importing_the_package_loads_no_optional_package() -> None:
    code = """
import sys
import dhenara_stream
heavy = {"anthropic", "openai", "pydantic", "starlette", "trio", "yaml"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
