"""A simulator for a test; what it is started with, an indirect parameter says."""

from collections.abc import AsyncIterator, Iterator

import pytest

from dhenara_stream.simulator import Simulator


@pytest.fixture
def sim(request: pytest.FixtureRequest) -> Iterator[Simulator]:
    """For a test that has no event loop."""
    with Simulator(**getattr(request, "param", {})) as running:
        yield running


@pytest.fixture
async def asim(request: pytest.FixtureRequest) -> AsyncIterator[Simulator]:
    """For an asynchronous test, in its event loop."""
    async with Simulator(**getattr(request, "param", {})) as running:
        yield running
