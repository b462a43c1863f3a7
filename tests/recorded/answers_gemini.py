"""Recorded answers of Gemini: what only they have."""

from __future__ import annotations

from corpus import Recording

from dhenara_stream.core import deltas as d
from dhenara_stream.dialects.gemini import GeminiDialect
from dhenara_stream.dialects.gemini.wire import OWN_CALL_ID
from dhenara_stream.types.genai.dhenara.response import (
    ChatResponseGenericContentItem,
    ChatResponseToolCallContentItem,
)

from .answers import Answers, Dict, Pairs, Reading, first_told, told


def counts(usage: Dict) -> tuple[int | None, ...]:
    return (
        told(usage, "promptTokenCount", "toolUsePromptTokenCount"),
        told(usage, "candidatesTokenCount", "thoughtsTokenCount"),
        told(usage, "totalTokenCount"),
        first_told(usage, "thoughtsTokenCount"),
        first_told(usage, "cachedContentTokenCount"),
        None,
    )


def own(recording: Recording, reading: Reading) -> Pairs:
    """Signatures, citations, grounding and images."""
    extra = recording.expected["extra"]
    contents = reading.response.choices[0].contents or []
    blocks = [item for item in contents if isinstance(item, ChatResponseGenericContentItem)]
    signatures = [delta.text for delta in reading.said if isinstance(delta, d.SignatureDelta)]
    signatures += [b.block["thoughtSignature"] for b in blocks if "thoughtSignature" in b.block]
    noted = [
        delta.annotation["type"] for delta in reading.said if isinstance(delta, d.AnnotationDelta)
    ]
    images = sum(block.block_type == "inlineData" for block in blocks)
    return {
        "signatures": (sorted(signatures), sorted(extra["signatures"])),
        "citations": (noted.count("citation"), extra["citations"]),
        "grounding": ("grounding" in noted, bool(extra["grounding_chunks"])),
        "images": (images, extra["images"]),
    }


def given_id(item: ChatResponseToolCallContentItem) -> str | None:
    """The id of a call, if it is not made up here."""
    return None if OWN_CALL_ID in item.tool_call.metadata else item.call_id


ANSWERS = Answers("gemini", GeminiDialect(), counts, own, call_id=given_id)
