"""What counts as a secret in the headers of a request, where a server echoes them."""

from __future__ import annotations

from dhenara_stream.types.shared.secret import MASK, Secret, longer_secrets, redacted

KEY = "sk-a-key-for-tests"


def test_the_key_after_a_scheme_is_masked_too() -> None:
    secrets = longer_secrets([Secret(f"Bearer {KEY}"), "application/json"])
    assert secrets == [f"Bearer {KEY}", KEY]
    assert redacted({"a": [f"{KEY} and Bearer {KEY}"]}, secrets) == {"a": [f"{MASK} and {MASK}"]}


def test_a_secret_that_holds_another_goes_first() -> None:
    secrets = longer_secrets([Secret(KEY), Secret(f"Token {KEY}-longer")])
    assert redacted(f"{KEY}-longer, {KEY}", secrets) == f"{MASK}, {MASK}"


def test_short_values_and_the_words_of_a_sentence_are_no_secrets() -> None:
    assert longer_secrets([Secret("Basic YQ=="), Secret("short")]) == ["Basic YQ=="]
    assert longer_secrets([Secret("a title of words")]) == ["a title of words"]
