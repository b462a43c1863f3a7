"""JSON schemas made ready for a provider."""

from __future__ import annotations

from dhenara_stream.dialects.schema import with_items


def test_lists_say_what_they_hold_and_schemas_that_are_true_or_false_stay() -> None:
    schema = {
        "type": "object",
        "properties": {"any": True, "list": {"type": "array"}},
        "additionalProperties": False,
    }

    assert with_items(schema) == {
        "type": "object",
        "properties": {"any": True, "list": {"type": "array", "items": {}}},
        "additionalProperties": False,
    }
