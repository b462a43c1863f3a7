"""Libraries that are needed only at some places: the package's optional extras."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec

from dhenara_stream.errors import ConfigError

__all__ = ["need"]


def need(extra: str, modules: Sequence[str], what: str, instead: str) -> None:
    """Check that an extra is installed, without loading it.

    Raises:
        ConfigError: If not, with the ways out.
    """
    if not all(map(_is_there, modules)):
        raise ConfigError(
            f"{what} need the extra `{extra}`: pip install 'dhenara-stream[{extra}]'; or {instead}"
        )


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # not even its parent
        return False
