"""A credentials file to fill in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from dhenara_stream.errors import ConfigError
from dhenara_stream.types.shared._coerce import is_mapping

from ._credentials import check_suffix

__all__ = ["unfilled", "write_template"]

_Table: TypeAlias = "Mapping[str, str | _Table]"

_HEADER = """\
# Credentials for dhenara_stream: put in your own, delete the providers that you do not use.
# ResourceConfig.load_from_file() finds this file by its path, or without one as
# dai_credentials.yaml (.json, .toml) in the directory that DAI_SECRET_CONFIG_DIR names.

"""

# An entry has what its provider needs; where another way to log in exists, the usual one.
_TEMPLATE: _Table = {
    "openai": {"api_key": "<YOUR_OPENAI_API_KEY>"},
    "google_gemini_api": {"api_key": "<YOUR_GEMINI_API_KEY>"},
    "anthropic": {"api_key": "<YOUR_ANTHROPIC_API_KEY>"},
    "deepseek": {"api_key": "<YOUR_DEEPSEEK_API_KEY>"},
    "google_vertex_ai": {
        "credentials": {
            "service_account_json": {
                "type": "service_account",
                "client_email": "<YOUR_CLIENT_EMAIL>",
                "private_key": "<YOUR_PRIVATE_KEY>",
            }
        },
        "config": {"project_id": "<YOUR_PROJECT_ID>", "location": "<YOUR_LOCATION>"},
    },
    "amazon_bedrock": {
        "credentials": {
            "access_key_id": "<YOUR_ACCESS_KEY_ID>",
            "secret_access_key": "<YOUR_SECRET_ACCESS_KEY>",
        },
        "config": {"region": "<YOUR_REGION>"},
    },
    "microsoft_openai": {
        "api_key": "<YOUR_AZURE_API_KEY>",
        "config": {"endpoint": "https://your-resource.openai.azure.com"},
    },
    "openai_compatible": {
        "api_key": "<YOUR_API_KEY>",
        "config": {"base_url": "https://your-server.example/v1"},
    },
}


_PLACEHOLDER = re.compile(r"<YOUR_\w+>")


def unfilled(entry: Mapping[Any, Any]) -> str | None:
    """The name of the first value that is still the template's, e.g. ``config.region``."""
    for key, value in entry.items():
        if is_mapping(value):
            if (inner := unfilled(value)) is not None:
                return f"{key}.{inner}"
        elif isinstance(value, str) and _PLACEHOLDER.fullmatch(value.strip()):
            return str(key)
    return None


def write_template(path: Path) -> None:
    """Write the template in the format of the file's suffix, for its owner alone to read.

    Raises:
        ConfigError: If the suffix is unknown, the file exists, or it cannot be written.
    """
    text = _rendered(check_suffix(path))
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(text, encoding="utf-8")
    except FileExistsError:
        raise ConfigError(f"{path}: exists already, and is not overwritten") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error


def _rendered(suffix: str) -> str:
    if suffix == ".json":
        return json.dumps(_TEMPLATE, indent=2) + "\n"
    lines = _toml_lines(_TEMPLATE) if suffix == ".toml" else _yaml_lines(_TEMPLATE)
    return _HEADER + "\n".join(lines) + "\n"


def _yaml_lines(table: _Table, indent: str = "") -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, str):
            yield f"{indent}{key}: {json.dumps(value)}"
        else:
            yield f"{indent}{key}:"
            yield from _yaml_lines(value, indent + "  ")


def _toml_lines(table: _Table, path: tuple[str, ...] = ()) -> Iterator[str]:
    # In TOML all plain values of a table come before its first sub-table.
    tables = {key: value for key, value in table.items() if not isinstance(value, str)}
    values = [f"{key} = {json.dumps(table[key])}" for key in table if key not in tables]
    if values:
        yield f"[{'.'.join(path)}]"
        yield from values
    for key, value in tables.items():
        yield from _toml_lines(value, (*path, key))
