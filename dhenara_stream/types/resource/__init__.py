"""Accounts, models and endpoints from a credentials file."""

from ._credentials import CredentialsFileNotFoundError
from ._resource_config import (
    ResourceConfig,
    ResourceConfigItem,
    ResourceConfigItemTypeEnum,
    ResourceQueryFieldsEnum,
)

__all__ = [
    "CredentialsFileNotFoundError",
    "ResourceConfig",
    "ResourceConfigItem",
    "ResourceConfigItemTypeEnum",
    "ResourceQueryFieldsEnum",
]
