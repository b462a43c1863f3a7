"""How a call is made."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.genai.ai_model import BaseAIModel
from dhenara_stream.types.shared._coerce import is_mapping
from dhenara_stream.types.shared.base import InputModel
from dhenara_stream.types.shared.secret import Secret

from ._structured_output import StructuredOutputConfig
from ._tools import ToolChoice, ToolDefinition, WebSearchHostedTool

__all__ = ["AIModelCallConfig", "AIModelContextPolicy", "ArtifactConfig", "ReasoningEffort"]

Dict = dict[str, Any]
Seconds = Annotated[float, msgspec.Meta(gt=0)]
Delay = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
FIRST_EVENT_TIMEOUT = 120.0
# Nothing arrives before a whole answer is computed: there the default is longer.
WHOLE_ANSWER_TIMEOUT = 600.0
ReasoningEffort = Literal["minimal", "low", "medium", "high", "xhigh", "max"]


class AIModelContextPolicy(InputModel, kw_only=True):
    """What happens to a conversation that outgrows the context window."""

    mode: Literal[
        "provider_compaction", "provider_context_editing", "client_compaction", "fail_closed"
    ] = "fail_closed"
    compact_threshold_tokens: Count | None = None
    edits: list[Dict] | None = None
    pause_after_compaction: bool | None = None
    instructions: str | None = None


class ArtifactConfig(InputModel, kw_only=True):
    """Where dhenara-ai writes its artifacts; taken, so that such code runs, and not used here."""

    enabled: bool = False
    artifact_root: str | Path | None = None
    capture_dhenara_request: bool = True
    capture_provider_request: bool = True
    capture_provider_response: bool = True
    capture_dhenara_response: bool = True
    prefix: str | None = None
    enable_python_logs: bool = False
    python_log_level: str | int = "INFO"
    python_logger_levels: dict[str, str | int] | None = None


class AIModelCallConfig(InputModel, kw_only=True):
    """How a call is made. All clocks are monotonic and in seconds; ``None`` switches one off.

    Attributes:
        streaming: Whether the answer comes in chunks.
        max_output_tokens: Most tokens of output, reasoning included; the model's cap at most.
        reasoning: Whether the model reasons first, where it can.
        max_reasoning_tokens: The budget for that, of models that take one.
        reasoning_effort: The effort, of models that take one.
        options: More fields of the request body (``temperature``, ``top_p``, ``stop``, ...).
            Those that the model refuses are left out. ``extra_headers`` and ``betas`` in here
            become headers.
        tools: The caller's tools.
        hosted_tools: Tools that run at the provider.
        tool_choice: Whether tools are called.
        structured_output: A class or a config; the answer must fit its schema.
        metadata: ``user`` or ``user_id`` is told to the provider.
        timeout: Deadline for the whole call, the stream included.
        connect_timeout: TCP and TLS.
        first_event_timeout: From the request sent until the first event. With
            ``streaming=False`` nothing comes before the whole answer: there the default
            counts as 600.
        idle_timeout: Gap between any two reads; pings count as life.
        content_idle_timeout: Gap between two pieces of content; pings do not count.
        retries: Requests in all, only while no content was handed out.
        retry_delay: First wait of the full-jitter exponential backoff.
        max_retry_delay: Longest wait of the backoff.
        raise_errors: Raise errors instead of handing out an ``SSEErrorResponse``.
        max_event_bytes: Most bytes of one event.
        test_mode: Answer from the built-in simulator, without a network or a valid key.
        api_version_override: The API version in the URL, where the provider has several.
        artifact_config: Not used here.
        context_policy: What happens when the conversation outgrows the context window.
    """

    streaming: bool = False
    max_output_tokens: Count | None = None
    reasoning: bool = False
    max_reasoning_tokens: Count | None = None
    reasoning_effort: ReasoningEffort | None = None
    options: Dict = {}
    tools: list[ToolDefinition] | None = None
    hosted_tools: list[WebSearchHostedTool] | None = None
    tool_choice: ToolChoice | None = None
    structured_output: StructuredOutputConfig | type | None = None
    metadata: Dict = {}
    timeout: Seconds | None = None
    connect_timeout: Seconds | None = 5.0
    first_event_timeout: Seconds | None = FIRST_EVENT_TIMEOUT
    idle_timeout: Seconds | None = 120.0
    content_idle_timeout: Seconds | None = None
    retries: Count = 3
    retry_delay: Delay = 1.0
    max_retry_delay: Delay = 10.0
    raise_errors: bool = False
    max_event_bytes: Count = 64 * 2**20
    test_mode: bool = False
    api_version_override: str | None = None
    artifact_config: ArtifactConfig | None = None
    context_policy: AIModelContextPolicy | None = None

    def check(self) -> None:
        names = [tool.function.name for tool in self.tools or []]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"AIModelCallConfig.tools: two tools are named {twice!r}")
        wanted = self.tool_choice.specific_tool_name if self.tool_choice else None
        if wanted is not None and wanted not in names:
            raise ConfigError(
                f"AIModelCallConfig.tool_choice: no tool is named {wanted!r} (tools: {names})"
            )
        self._seal_headers()
        if isinstance(self.structured_output, type):
            config = StructuredOutputConfig.from_model(self.structured_output)
            msgspec.structs.force_setattr(self, "structured_output", config)

    def _seal_headers(self) -> None:
        # A header can carry a key: it must not show in repr or dumps.
        headers = self.options.get("extra_headers")
        if is_mapping(headers):
            sealed = {k: Secret(v) if isinstance(v, str) else v for k, v in headers.items()}
            self.options["extra_headers"] = sealed

    @property
    def first_event_limit(self) -> float | None:
        """``first_event_timeout`` as it counts for this call."""
        if not self.streaming and self.first_event_timeout == FIRST_EVENT_TIMEOUT:
            return WHOLE_ANSWER_TIMEOUT
        return self.first_event_timeout

    @property
    def output_config(self) -> StructuredOutputConfig | None:
        """``structured_output`` as a config, whatever it was given as."""
        config = self.structured_output
        return config if isinstance(config, StructuredOutputConfig) else None

    def get_user(self) -> str | None:
        """The user's id from ``metadata``."""
        user = self.metadata.get("user_id") or self.metadata.get("user")
        return str(user) if user else None

    def reasons(self, model: BaseAIModel) -> bool:
        """Whether a call of ``model`` with this config reasons."""
        return self.reasoning and model.get_settings().supports_reasoning

    def get_max_output_token_limit(self, model: BaseAIModel) -> int:
        """The model's own cap on output tokens for such a call."""
        settings = model.get_settings()
        reasoning_cap = settings.max_output_tokens_reasoning_mode
        if self.reasons(model) and reasoning_cap is not None:
            return reasoning_cap
        return settings.max_output_tokens

    def get_reasoning_token_budget(self, model: BaseAIModel) -> int | None:
        """The reasoning budget; ``None`` for a model that takes none."""
        settings = model.get_settings()
        if not self.reasons(model) or settings.reasoning_control != "token_budget":
            return None
        wanted = (self.max_reasoning_tokens, settings.max_reasoning_tokens)
        return min((value for value in wanted if value is not None), default=None)

    def get_max_output_tokens(self, model: BaseAIModel) -> tuple[int, int | None]:
        """``(max output tokens, reasoning budget)`` for a call of ``model``."""
        cap = self.get_max_output_token_limit(model)
        return min(self.max_output_tokens or cap, cap), self.get_reasoning_token_budget(model)
