"""Reading credentials files.

Nothing that such a file holds may show. Parsers keep the text they failed on in their exceptions,
and the YAML parser quotes it in its messages; so they are caught where they are raised, turned
into words that name the place, and never become the cause or the context of our error.
"""

from __future__ import annotations

import importlib
import json
import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from dhenara_stream.errors import ConfigError

__all__ = ["CredentialsFileNotFoundError", "check_suffix", "default_path", "read_credentials"]

_DIRECTORY_VARIABLE = "DAI_SECRET_CONFIG_DIR"
_DEFAULT_DIRECTORY = "/run/secrets/dai"

# What was parsed, or None and what is wrong.
_Parsed = tuple[object, str | None]


class CredentialsFileNotFoundError(ConfigError, FileNotFoundError):
    """There is no such credentials file."""


def default_path() -> Path:
    """``dai_credentials.<suffix>`` in the directory that the environment names, or the default."""
    configured = os.environ.get(_DIRECTORY_VARIABLE, "").strip()
    directory = Path(configured or _DEFAULT_DIRECTORY).expanduser()
    candidates = [directory / f"dai_credentials{suffix}" for suffix in _PARSERS]
    return next((path for path in candidates if path.is_file()), candidates[0])


def check_suffix(path: Path) -> str:
    """The suffix of a file whose format is known.

    Raises:
        ConfigError: If it is not.
    """
    suffix = path.suffix.lower()
    if suffix not in _PARSERS:
        raise ConfigError(f"{path}: unknown file format; use one of {', '.join(_PARSERS)}")
    return suffix


def read_credentials(path: Path) -> dict[Any, Any]:
    """The entries of a credentials file, as they stand there.

    Raises:
        ConfigError: Naming the file, and the line where there is one.
    """
    parse = _PARSERS[check_suffix(path)]
    try:
        entries, problem = _entries(path, parse)
    except FileNotFoundError as error:
        raise CredentialsFileNotFoundError(
            f"{path}: no such credentials file; give credentials_file, or set "
            f"{_DIRECTORY_VARIABLE} to the directory of dai_credentials.yaml"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if problem is not None:
        raise ConfigError(f"{path}: {problem}")
    return entries


def _entries(path: Path, parse: Callable[[str], _Parsed]) -> tuple[dict[Any, Any], str | None]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return {}, f"not UTF-8 text at byte {error.start}"
    parsed, problem = parse(text)
    if problem is None and not isinstance(parsed, dict):
        problem = "expected providers at the top level, each with its api_key"
    return ({}, problem) if problem else (cast("dict[Any, Any]", parsed), None)


def _json(text: str) -> _Parsed:
    try:
        return json.loads(text), None
    except json.JSONDecodeError as error:
        return None, f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}"


def _toml(text: str) -> _Parsed:
    try:
        return tomllib.loads(text), None
    except tomllib.TOMLDecodeError as error:
        return None, f"not TOML: {error}"


def _yaml(text: str) -> _Parsed:
    try:
        yaml: Any = importlib.import_module("yaml")
    except ImportError:
        return None, (
            "reading YAML needs the extra `yaml`: pip install 'dhenara-stream[yaml]'; "
            "JSON and TOML need nothing"
        )
    try:
        return yaml.safe_load(text), None
    except (yaml.YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        return None, f"not YAML{place}"


_PARSERS: dict[str, Callable[[str], _Parsed]] = {
    ".yaml": _yaml,
    ".yml": _yaml,
    ".json": _json,
    ".toml": _toml,
}
