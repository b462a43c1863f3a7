"""Types that are not about chat: stream events, files, the base struct."""

from .api import SSEErrorCode, SSEErrorData, SSEErrorResponse, SSEEventType, SSEResponse
from .base import BaseEnum, BaseModel, InputModel
from .file import (
    FileContentData,
    FileContentFormatEnum,
    FileFormatEnum,
    FileMetadata,
    FilePayload,
    FileProcessingStatusEnum,
    GenericFile,
    GenericFileContent,
    ProcessedFile,
    StoredFile,
)
from .secret import Secret

__all__ = [
    "BaseEnum",
    "BaseModel",
    "FileContentData",
    "FileContentFormatEnum",
    "FileFormatEnum",
    "FileMetadata",
    "FilePayload",
    "FileProcessingStatusEnum",
    "GenericFile",
    "GenericFileContent",
    "InputModel",
    "ProcessedFile",
    "SSEErrorCode",
    "SSEErrorData",
    "SSEErrorResponse",
    "SSEEventType",
    "SSEResponse",
    "Secret",
    "StoredFile",
]
