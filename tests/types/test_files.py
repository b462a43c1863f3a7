"""Files that go into a prompt: their content, their media type, and what is wrong with them."""

from __future__ import annotations

import base64
import mimetypes
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dhenara_stream.errors import ConfigError
from dhenara_stream.types import (
    FileContentData,
    FileContentFormatEnum,
    FileMetadata,
    FilePayload,
    FileProcessingStatusEnum,
    GenericFile,
    GenericFileContent,
    ProcessedFile,
    Prompt,
    StoredFile,
)

PNG = b"\x89PNG\r\n\x1a\n"
PNG_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"


@pytest.fixture(autouse=True)
def _no_media_types_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python's own table only: machines differ in theirs."""
    monkeypatch.setattr(mimetypes, "_db", mimetypes.MimeTypes())


def processed(**fields: Any) -> ProcessedFile:
    """A file that an earlier step has read."""
    return ProcessedFile(name="a.md", processed_content=FileContentData(name="a.md", **fields))


@given(st.binary())
def test_the_bytes_that_go_in_come_out(data: bytes) -> None:
    file = StoredFile.from_bytes(data, "a.bin")
    assert file.metadata == FileMetadata(file_name="a.bin", file_size=len(data))
    payload = file.payload()
    assert payload == FilePayload(name="a.bin", media_type="application/octet-stream", data=data)
    assert base64.b64decode(payload.base64()) == data


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.png", "image/png"),
        ("a.JPG", "image/jpeg"),
        ("a.gif", "image/gif"),
        ("a.webp", "image/webp"),
        ("a.pdf", "application/pdf"),
        ("a.txt", "text/plain"),
        ("a.json", "application/json"),
        ("a.json.gz", "application/octet-stream"),
        ("a", "application/octet-stream"),
        ("a.unknown", "application/octet-stream"),
    ],
)
def test_the_media_type_comes_from_the_name(name: str, media_type: str) -> None:
    assert StoredFile.from_bytes(b"", name).payload().media_type == media_type


def test_a_media_type_that_is_given_wins_over_the_name() -> None:
    file = StoredFile.from_bytes(b"x", "a.png", mime_type="image/x-own")
    assert file.media_type == file.payload().media_type == "image/x-own"
    assert GenericFile(name="a.png").media_type == "image/png"


@pytest.mark.parametrize(
    ("media_type", "is_text"),
    [
        ("text/plain", True),
        ("text/x-anything", True),
        ("application/json", True),
        ("application/toml", True),
        ("application/pdf", False),
        ("image/svg+xml", False),
    ],
)
def test_text_is_known_by_its_media_type(media_type: str, is_text: bool) -> None:
    assert FilePayload(name="a", media_type=media_type).is_text is is_text


def test_a_payload_as_text_never_fails() -> None:
    assert FilePayload(name="a", media_type="text/plain", data=b"\xc3\xa9\xff").text() == "é\ufffd"
    empty = FilePayload(name="a", media_type="text/plain", url="https://a.example/a")
    assert (empty.text(), empty.base64()) == ("", "")


def test_a_file_on_disk_is_read_now_or_when_it_is_sent(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    now = StoredFile.from_path(str(path), mime_type="image/x-own")
    later = StoredFile(name="b.png", path=str(path))
    path.write_bytes(b"changed")
    assert now.payload() == FilePayload(name="a.png", media_type="image/x-own", data=PNG)
    assert later.payload() == FilePayload(name="b.png", media_type="image/png", data=b"changed")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.png"
    with pytest.raises(ConfigError, match=r"cannot read file .*none\.png': No such file") as caught:
        StoredFile.from_path(path)
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    with pytest.raises(ConfigError, match="cannot read file"):
        StoredFile(name="a", path=str(path)).payload()


def test_a_url_is_left_to_the_provider() -> None:
    file = StoredFile.from_url("https://a.example/x/b.png?size=1#top")
    assert file.payload() == FilePayload(
        name="b.png", media_type="image/png", url="https://a.example/x/b.png?size=1#top"
    )
    assert StoredFile.from_url("https://a.example/x/").name == "file"
    assert StoredFile.from_url("https://a.example/x", name="c.gif").media_type == "image/gif"
    assert StoredFile.from_url("https://a.example/x", mime_type="image/gif").name == "x"


@pytest.mark.parametrize(
    ("url", "media_type", "data"),
    [
        (PNG_URL, "image/png", PNG),
        ("data:;base64,aGk=", "text/plain", b"hi"),
        ("data:,a%20b", "text/plain", b"a b"),
        ("data:text/html;charset=utf-8,%3Cp%3E", "text/html", b"<p>"),
        ("data:text/plain;charset=utf-8;base64,aGk%3D", "text/plain", b"hi"),
    ],
)
def test_a_data_url_is_its_content(url: str, media_type: str, data: bytes) -> None:
    made = StoredFile.from_url(url, name="a").payload()
    assert made == FilePayload(name="a", media_type=media_type, data=data)
    assert StoredFile(name="a", url=url).payload() == made
    assert StoredFile.from_url(url).name == "data"


@pytest.mark.parametrize(
    ("file", "message"),
    [
        (lambda: GenericFile(name="a.png"), "file 'a.png': a GenericFile has no content; use St"),
        (lambda: StoredFile(name="a.png"), "file 'a.png': give one of content, path or url"),
        (
            lambda: StoredFile(name="a.png", content=GenericFileContent()),
            "file 'a.png': content has neither content_bytes nor content_b64_json",
        ),
        (
            lambda: StoredFile(name="a.png", content=GenericFileContent(content_b64_json="a?")),
            "file 'a.png': its content is not valid base64",
        ),
        (
            lambda: StoredFile(name="a.png", content=GenericFileContent(content_b64_json="é")),
            "file 'a.png': its content is not valid base64",
        ),
        (
            lambda: StoredFile(name="a", url="data:image/png;base64,%FF"),
            "file 'data URL': its content is not valid base64",
        ),
        (lambda: StoredFile(name="a", url="data:image/png"), "a data URL needs the form data:"),
        (
            lambda: processed(content="a?", content_format=FileContentFormatEnum.BINARY),
            "file 'a.md': its content is not valid base64",
        ),
        (
            lambda: processed(
                processing_status=FileProcessingStatusEnum.FAIL, processing_message="too big"
            ),
            "file 'a.md': too big",
        ),
        (
            lambda: processed(processing_status=FileProcessingStatusEnum.FAIL),
            "file 'a.md': not read",
        ),
    ],
)
def test_a_file_without_usable_content_says_why(file: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        file().payload()
    assert message in str(caught.value)


def test_base64_content_is_decoded() -> None:
    content = GenericFileContent(content_format="base64", content_b64_json="aGk=")
    assert StoredFile(name="a.txt", content=content).payload().data == b"hi"


def test_content_wins_over_path_and_path_over_url(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"path")
    file = StoredFile(name="a", path=str(tmp_path / "a"), url="https://a.example/a")
    assert file.payload().data == b"path"
    file.content = GenericFileContent(content_bytes=b"content")
    assert file.payload().data == b"content"


def test_the_text_of_a_processed_file_is_its_own_and_that_of_its_parts() -> None:
    inner = FileContentData(name="b.txt", content="two")
    empty = FileContentData(name="c.txt")
    folder = FileContentData(name="sub", contents=[inner, empty])
    file = processed(content="one", contents=[folder])
    assert file.payload() == FilePayload(
        name="a.md", media_type="text/plain", data=b"one\n\nsub:\nb.txt:\ntwo"
    )


def test_binary_content_of_a_processed_file_is_base64() -> None:
    file = ProcessedFile(
        name="a.png",
        processed_content=FileContentData(
            name="a.png", content="aGk=", content_format=FileContentFormatEnum.BINARY
        ),
    )
    assert file.payload() == FilePayload(name="a.png", media_type="image/png", data=b"hi")
    assert processed(content_format=FileContentFormatEnum.BINARY).payload().data == b""


@pytest.mark.parametrize(
    ("given", "cls"),
    [
        ({"name": "a"}, GenericFile),
        ({"name": "a", "path": "x"}, StoredFile),
        ({"name": "a", "url": "https://a.example"}, StoredFile),
        ({"name": "a", "content": {"content_b64_json": "aGk="}}, StoredFile),
        ({"name": "a", "processed_content": {"name": "a"}}, ProcessedFile),
        ({"name": "a", "processedContent": {"name": "a"}}, ProcessedFile),
    ],
)
def test_a_dict_is_the_kind_of_file_that_its_fields_say(
    given: dict[str, Any], cls: type[GenericFile]
) -> None:
    assert type(GenericFile.model_validate(given)) is cls
    assert type(Prompt(text="x", files=[given]).files[0]) is cls  # type: ignore[list-item]


def test_a_field_that_the_kind_of_file_has_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"Prompt\.files\[0\]: GenericFile: no field 'pth'"):
        Prompt.model_validate({"text": "x", "files": [{"name": "a", "pth": "x"}]})
    with pytest.raises(ConfigError, match="ProcessedFile: no field 'path'"):
        ProcessedFile.model_validate({"name": "a", "path": "x"})
