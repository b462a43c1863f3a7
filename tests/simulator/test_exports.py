"""The package's public list is exact."""

import types

import dhenara_stream.simulator as package
from dhenara_stream.simulator import __all__ as names


def test_the_list_is_sorted_and_names_what_there_is() -> None:
    assert list(names) == sorted(names)
    assert all(hasattr(package, name) for name in names)


def test_nothing_else_is_public() -> None:
    own = {
        name
        for name, value in vars(package).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert own == set(names)
