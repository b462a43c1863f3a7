"""Accounts, models and endpoints from a credentials file."""

from ._resource_config import (
    ResourceConfig,
    ResourceConfigItem,
    ResourceConfigItemTypeEnum,
    ResourceQueryFieldsEnum,
)

__all__ = [
    "ResourceConfig",
    "ResourceConfigItem",
    "ResourceConfigItemTypeEnum",
    "ResourceQueryFieldsEnum",
]
