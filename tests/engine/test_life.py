"""A client's life in any order of events, on both event loops and without one."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from engine.life import AsyncLife, Life, SyncLife, simulator
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

SETTINGS = settings(
    max_examples=30,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def quick_collections() -> Iterator[None]:
    """What was there before is not looked at: the machine collects garbage again and again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def live(machine: type[Life], **attributes: str) -> None:
    with simulator() as sim:
        kind = type("Machine", (machine,), {"url": sim.url, "sim": sim, **attributes})
        run_state_machine_as_test(kind, settings=SETTINGS)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_an_async_client_in_any_order_of_events(backend: str) -> None:
    live(AsyncLife, backend=backend)


def test_a_sync_client_in_any_order_of_events() -> None:
    live(SyncLife)
