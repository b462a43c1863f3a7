"""A client's life in any order of events, on both event loops and without one."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest
from engine.life import AsyncLife, Life, SyncLife, simulator
from engine.test_sync_bridge import run as run_script
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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_sync_client_that_is_forked_in_any_order_of_events() -> None:
    script = """
        import gc, warnings
        warnings.simplefilter("ignore", DeprecationWarning)
        from engine.life import ForkingLife
        from hypothesis import HealthCheck, settings
        from hypothesis.stateful import run_state_machine_as_test
        gc.freeze()
        kind = type("Machine", (ForkingLife,), {"url": sys.argv[2]})
        few = settings(
            max_examples=5, stateful_step_count=15, deadline=None, database=None,
            suppress_health_check=list(HealthCheck),
        )
        run_state_machine_as_test(kind, settings=few)
    """
    with simulator() as sim:
        run_script(script, sim.url)
        sim.wait_closed_sync()
