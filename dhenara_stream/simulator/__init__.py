"""A local LLM provider for demos, tests and work offline: a real protocol, faults on demand.

::

    from dhenara_stream.simulator import Answer, Reset, Simulator, Text, Thinking

    async with Simulator(Answer(Thinking("Two and two."), Text("Four."))) as sim:
        ...                              # point a client at sim.url; any API key will do
        sim.requests[0].json["model"]    # what it sent

    with Simulator(faults=[Reset(deltas=2), None]) as sim:   # from a thread of its own
        ...

The modules: ``script`` (answers), ``faults``, ``generate`` and ``schema`` (answers that nobody
scripted), ``protocol`` (what a protocol offers), the protocols (``anthropic``, ``openai_chat``,
``openai_responses``, ``gemini``, each with its rules), ``plan`` (a response as steps), ``http1``
(HTTP on bytes), ``service`` (all of that together, without I/O), ``net`` and ``server`` (sockets),
``memory`` (none), ``simulator`` (the front).
"""

from .faults import (
    CleanCut,
    ContentType,
    Drop,
    ErrorEvent,
    Fault,
    Malformed,
    OnlyPings,
    OpenEnd,
    Reset,
    Respond,
    Silence,
    TornChunk,
)
from .memory import MemoryTransport
from .script import Answer, RawBlock, RedactedThinking, Refusal, Text, Thinking, ToolCall, Usage
from .server import Connections
from .service import RecordedRequest, fingerprint
from .simulator import Simulator

__all__ = [
    "Answer",
    "CleanCut",
    "Connections",
    "ContentType",
    "Drop",
    "ErrorEvent",
    "Fault",
    "Malformed",
    "MemoryTransport",
    "OnlyPings",
    "OpenEnd",
    "RawBlock",
    "RecordedRequest",
    "RedactedThinking",
    "Refusal",
    "Reset",
    "Respond",
    "Silence",
    "Simulator",
    "Text",
    "Thinking",
    "ToolCall",
    "TornChunk",
    "Usage",
    "fingerprint",
]
