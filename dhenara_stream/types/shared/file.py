"""Files that go into a prompt: images, PDFs, text."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import unquote_to_bytes, urlsplit

import msgspec

from dhenara_stream.errors import ConfigError

from .base import BaseEnum, InputModel

__all__ = [
    "FileContentData",
    "FileContentFormatEnum",
    "FileFormatEnum",
    "FileMetadata",
    "FilePayload",
    "FileProcessingStatusEnum",
    "GenericFile",
    "GenericFileContent",
    "ProcessedFile",
    "StoredFile",
]


class FileFormatEnum(BaseEnum):
    """What a file holds."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    COMPRESSED = "compressed"
    UNDEFINED = "undefined"


class FileContentFormatEnum(BaseEnum):
    """How ``FileContentData.content`` is encoded: ``BINARY`` is base64."""

    TEXT = "text"
    BINARY = "binary"
    RAW = "raw"
    UNDEFINED = "undefined"


class FileProcessingStatusEnum(BaseEnum):
    """Whether a file could be read."""

    SUCCESS = "success"
    FAIL = "fail"
    UNDEFINED = "undefined"


class FilePayload(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider needs of a file: its media type, and its bytes or its address.

    ``cache_control`` marks the end of a prefix to cache.
    """

    name: str
    media_type: str
    data: bytes | None = None
    url: str | None = None
    cache_control: str | None = None

    @property
    def is_text(self) -> bool:
        """Whether the bytes are text that can stand in a prompt."""
        return self.media_type.startswith("text/") or self.media_type in _TEXT_TYPES

    def text(self) -> str:
        """The bytes as text."""
        return (self.data or b"").decode("utf-8", "replace")

    def base64(self) -> str:
        """The bytes in base64."""
        return base64.b64encode(self.data or b"").decode("ascii")


_TEXT_TYPES = frozenset(
    {"application/json", "application/xml", "application/yaml", "application/x-yaml"}
    | {"application/toml", "application/javascript", "application/x-sh", "application/sql"}
)


class FileMetadata(InputModel, kw_only=True):
    """Facts about a file; ``file_size`` in bytes."""

    file_name: str
    file_size: int | float
    mime_type: str | None = None
    isinstance_of_dj_fileclass: bool | None = None


class GenericFile(InputModel, kw_only=True):
    """A named file; its subclasses hold the content."""

    name: str
    metadata: FileMetadata | None = None

    @property
    def media_type(self) -> str:
        """The media type from the metadata, else from the name."""
        declared = self.metadata.mime_type if self.metadata else None
        # Not strict: Python 3.11 counts image/webp as not registered.
        guessed, compression = mimetypes.guess_type(self.name, strict=False)
        return declared or (None if compression else guessed) or "application/octet-stream"

    def payload(self) -> FilePayload:
        """The content, read if need be.

        Raises:
            ConfigError: If there is no content, or it cannot be read.
        """
        raise ConfigError(f"file {self.name!r}: a GenericFile has no content; use StoredFile")

    @classmethod
    def _from_mapping(cls, obj: Mapping[str, Any]) -> Self:
        # Which kind of file a dict is, its fields say.
        kind: Any = cls
        if cls is GenericFile and obj.keys() & {"url", "content", "path"}:
            kind = StoredFile
        elif cls is GenericFile and obj.keys() & {"processed_content", "processedContent"}:
            kind = ProcessedFile
        if kind is cls:
            return super()._from_mapping(obj)
        file: Self = kind.model_validate(obj)
        return file


class GenericFileContent(InputModel, kw_only=True):
    """The bytes of a file, plain or in base64."""

    content_format: Literal["bytes", "base64"] | None = None
    content_bytes: bytes | None = None
    content_b64_json: str | None = None


class StoredFile(GenericFile, kw_only=True):
    """A file given by its bytes, a path, a URL or a data URL."""

    url: str | None = None
    content: GenericFileContent | None = None
    path: str | None = None

    @classmethod
    def from_bytes(cls, data: bytes, name: str, mime_type: str | None = None) -> StoredFile:
        """A file from bytes; the media type comes from the name unless it is given."""
        metadata = FileMetadata(file_name=name, file_size=len(data), mime_type=mime_type)
        content = GenericFileContent(content_format="bytes", content_bytes=data)
        return cls(name=name, metadata=metadata, content=content)

    @classmethod
    def from_path(cls, path: str | Path, mime_type: str | None = None) -> StoredFile:
        """A file on disk, read now.

        Raises:
            ConfigError: If it cannot be read.
        """
        return cls.from_bytes(_read(Path(path)), Path(path).name, mime_type)

    @classmethod
    def from_url(
        cls, url: str, name: str | None = None, mime_type: str | None = None
    ) -> StoredFile:
        """A file that the provider fetches itself, or a ``data:`` URL.

        Without a name it has the address's; with an empty one the provider is told none.
        """
        if url.startswith("data:"):
            data, media_type = _data_url(url)
            return cls.from_bytes(data, name or "data", mime_type or media_type)
        if name is None:
            name = urlsplit(url).path.rsplit("/", 1)[-1] or "file"
        metadata = FileMetadata(file_name=name, file_size=0, mime_type=mime_type)
        return cls(name=name, metadata=metadata, url=url)

    def payload(self) -> FilePayload:
        """The content or the address: of ``content``, ``path`` and ``url`` the first given.

        Raises:
            ConfigError: If none is given, or it cannot be read.
        """
        if self.content is not None:
            data = _content_bytes(self.name, self.content)
            return FilePayload(name=self.name, media_type=self.media_type, data=data)
        if self.path is not None:
            data = _read(Path(self.path))
            return FilePayload(name=self.name, media_type=self.media_type, data=data)
        if self.url is not None and self.url.startswith("data:"):
            data, media_type = _data_url(self.url)
            return FilePayload(name=self.name, media_type=media_type, data=data)
        if self.url is not None:
            return FilePayload(name=self.name, media_type=self.media_type, url=self.url)
        raise ConfigError(f"file {self.name!r}: give one of content, path or url")


class FileContentData(InputModel, kw_only=True):
    """A file's content as an earlier processing step left it."""

    name: str
    metadata: FileMetadata | None = None
    file_format: FileFormatEnum = FileFormatEnum.UNDEFINED
    content_format: FileContentFormatEnum = FileContentFormatEnum.UNDEFINED
    content: str | None = None
    contents: list[FileContentData] | None = None
    folder_structure: str | None = None
    processing_status: FileProcessingStatusEnum = FileProcessingStatusEnum.SUCCESS
    processing_message: str = ""


class ProcessedFile(GenericFile, kw_only=True):
    """A file whose content was extracted before."""

    processed_content: FileContentData

    def payload(self) -> FilePayload:
        """The extracted text, or the bytes of binary content.

        Raises:
            ConfigError: If the earlier step failed, or the base64 is broken.
        """
        content = self.processed_content
        if content.processing_status == FileProcessingStatusEnum.FAIL:
            raise ConfigError(f"file {self.name!r}: {content.processing_message or 'not read'}")
        if content.content_format == FileContentFormatEnum.BINARY:
            data = _decode_base64(self.name, content.content or "")
            return FilePayload(name=self.name, media_type=self.media_type, data=data)
        text = "\n\n".join(_texts(content))
        return FilePayload(name=self.name, media_type="text/plain", data=text.encode())


def _texts(content: FileContentData) -> list[str]:
    own = [content.content] if content.content else []
    return own + [f"{c.name}:\n{text}" for c in content.contents or [] for text in _texts(c)]


def _content_bytes(name: str, content: GenericFileContent) -> bytes:
    if content.content_bytes is not None:
        return content.content_bytes
    if content.content_b64_json is not None:
        return _decode_base64(name, content.content_b64_json)
    raise ConfigError(f"file {name!r}: content has neither content_bytes nor content_b64_json")


def _decode_base64(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ConfigError(f"file {name!r}: its content is not valid base64") from None


def _data_url(url: str) -> tuple[bytes, str]:
    head, comma, body = url.partition(",")
    if not comma:
        raise ConfigError("a data URL needs the form data:<media type>;base64,<data>")
    media_type, *parameters = head.removeprefix("data:").split(";")
    data = unquote_to_bytes(body)
    if "base64" in parameters:
        data = _decode_base64("data URL", data.decode("ascii", "replace"))
    return data, media_type or "text/plain"


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read file {str(path)!r}: {error.strerror}") from error
