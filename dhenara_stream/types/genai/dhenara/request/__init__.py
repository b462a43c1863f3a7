"""What goes to a model: prompts, tools, the call's config."""

from ._config import AIModelCallConfig, AIModelContextPolicy, ArtifactConfig, ReasoningEffort
from ._many import AIModelCallRequest
from ._prompt import (
    CacheControl,
    Content,
    ContentType,
    Prompt,
    PromptConfig,
    PromptMessageRoleEnum,
    PromptText,
    SystemInstruction,
    TextTemplate,
    TextTemplateVariableProps,
    ToolCallResult,
    ToolCallResultsMessage,
)
from ._structured_output import StructuredOutputConfig
from ._tools import (
    FunctionDefinition,
    FunctionParameter,
    FunctionParameters,
    HostedToolUserLocation,
    ToolChoice,
    ToolDefinition,
    WebSearchHostedTool,
)

__all__ = [
    "AIModelCallConfig",
    "AIModelCallRequest",
    "AIModelContextPolicy",
    "ArtifactConfig",
    "CacheControl",
    "Content",
    "ContentType",
    "FunctionDefinition",
    "FunctionParameter",
    "FunctionParameters",
    "HostedToolUserLocation",
    "Prompt",
    "PromptConfig",
    "PromptMessageRoleEnum",
    "PromptText",
    "ReasoningEffort",
    "StructuredOutputConfig",
    "SystemInstruction",
    "TextTemplate",
    "TextTemplateVariableProps",
    "ToolCallResult",
    "ToolCallResultsMessage",
    "ToolChoice",
    "ToolDefinition",
    "WebSearchHostedTool",
]
