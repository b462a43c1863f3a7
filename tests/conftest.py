"""Each asynchronous test runs on asyncio and on trio, for at most 15 seconds; no mark is needed."""

import functools
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

import anyio
import pytest
from hypothesis import settings

ASYNC_LIMIT = 15.0

settings.register_profile("suite", deadline=None)  # the machine's load is no failure
settings.load_profile("suite")


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """The event loop under a test."""
    name: str = request.param
    return name


def _limited(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> None:
        with anyio.fail_after(ASYNC_LIMIT):
            await test(*args, **kwargs)

    return run


def pytest_itemcollected(item: pytest.Item) -> None:
    """Put the limit around an asynchronous test."""
    if isinstance(item, pytest.Function):
        property_test = getattr(item.obj, "hypothesis", None)
        if property_test is not None and iscoroutinefunction(property_test.inner_test):
            property_test.inner_test = _limited(property_test.inner_test)
        elif iscoroutinefunction(item.obj):
            item.obj = _limited(item.obj)
