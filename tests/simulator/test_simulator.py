"""The simulator's two fronts, and what it says of itself."""

from __future__ import annotations

import socket
import threading
from typing import Any

import anyio
import httpx
import pytest
from simulator.peer import HEADERS, body, connect, request, talk

from dhenara_stream.errors import ConfigError
from dhenara_stream.simulator import Answer, Silence, Simulator

any_: Any = None


def post(sim: Simulator) -> httpx.Response:
    with httpx.Client(trust_env=False) as client:
        return client.post(f"{sim.url}/v1/messages", headers=HEADERS, json=body())


def test_with_serves_from_a_thread() -> None:
    threads = threading.active_count()
    with Simulator(Answer("Hi")) as sim:
        assert post(sim).status_code == 200
        assert sim.requests[0].authenticated
        assert threading.active_count() > threads
    assert threading.active_count() == threads
    with pytest.raises(httpx.ConnectError):
        post(sim)


def test_waiting_from_a_thread() -> None:
    with Simulator(faults=Silence()) as sim:
        with socket.create_connection((sim.url.split(":")[1][2:], int(sim.url.split(":")[2]))) as s:
            s.sendall(request())
            sim.wait_requests_sync(1)
            with pytest.raises(TimeoutError):
                sim.wait_closed_sync(timeout=0.001)
            assert sim.connections.open == 1
        sim.wait_closed_sync()
        assert sim.connections.open == 0


def test_waiting_from_a_thread_needs_with() -> None:
    with pytest.raises(ConfigError, match="entered with `with`"):
        Simulator().wait_closed_sync()


async def test_async_with_serves_in_the_running_loop() -> None:
    async with Simulator(Answer("Hi")) as sim:
        assert (await talk(sim)).text == "Hi"
        assert sim.requests[0].complete


async def test_what_fails_in_the_block_comes_out_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"):
        async with Simulator():
            raise KeyError("mine")


def test_what_fails_in_the_block_comes_out_of_with_as_it_is() -> None:
    with pytest.raises(KeyError, match="mine"), Simulator():
        raise KeyError("mine")


async def test_a_cancelled_block_ends() -> None:
    sim = Simulator(faults=Silence())
    with anyio.move_on_after(0.01) as scope:
        async with sim, await connect(sim) as stream:
            await stream.send(request())
            await stream.receive()
    assert scope.cancelled_caught
    assert sim.connections.open == 0


async def test_leaving_the_block_closes_all_connections() -> None:
    async with Simulator(faults=Silence()) as sim:
        streams = [await connect(sim) for _ in range(5)]
        for stream in streams:
            await stream.send(request())
        await sim.wait_requests(5)
    assert sim.connections.open == 0
    for stream in streams:
        with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()
        await stream.aclose()


async def test_a_simulator_can_run_again_but_not_twice_at_once() -> None:
    sim = Simulator(Answer("Hi"))
    async with sim:
        with pytest.raises(ConfigError, match="runs already"):
            async with sim:
                pass
        await talk(sim)
    async with sim:
        await talk(sim)
    assert len(sim.requests) == 2


def test_the_address() -> None:
    sim = Simulator()
    with pytest.raises(ConfigError, match="does not run"):
        _ = sim.url
    with sim:
        assert sim.url.startswith("http://127.0.0.1:")
        assert sim.base_urls["ANTHROPIC_BASE_URL"] == sim.url
    assert sim.base_urls["ANTHROPIC_BASE_URL"] == sim.url


def test_a_port_of_ones_own() -> None:
    with Simulator() as first:
        port = int(first.url.rsplit(":", 1)[1])
    with Simulator(port=port) as second:
        assert second.url == first.url


def test_a_port_in_use() -> None:
    with Simulator() as first:
        port = int(first.url.rsplit(":", 1)[1])
        message = f"cannot listen on 127.0.0.1:{port}: the port is in use; choose another one"
        with pytest.raises(ConfigError, match=message), Simulator(port=port):
            pass


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("no.such.host.invalid", "cannot listen on host 'no.such.host.invalid': no such address"),
        ("a" * 80, "no such address"),
        ("192.0.2.1", "cannot listen on 192.0.2.1:0: the address is not this machine's"),
    ],
)
def test_a_host_that_cannot_be_had(host: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message), Simulator(host=host):
        pass


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError(13, "Permission denied"), "ports like this need more rights"),
        (OSError(5, "Input/output error"), "cannot listen on 127.0.0.1:80: .*Input/output error"),
    ],
)
def test_other_reasons(monkeypatch: pytest.MonkeyPatch, error: OSError, message: str) -> None:
    def bind(self: socket.socket, address: Any) -> None:
        raise error

    monkeypatch.setattr(socket.socket, "bind", bind)
    sim = Simulator(port=80)

    async def enter() -> None:
        async with sim:
            pass

    with pytest.raises(ConfigError, match=message):
        anyio.run(enter, backend="trio")


def test_all_addresses_are_reached_through_one() -> None:
    with Simulator(host="0.0.0.0") as sim:
        assert sim.url.startswith("http://127.0.0.1:")
        assert post(sim).status_code == 200


def test_a_name_for_a_host() -> None:
    with Simulator(host="localhost") as sim:
        assert post(sim).status_code == 200


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
def test_ipv6() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 here")
    with Simulator(host="::1") as sim:
        assert sim.url.startswith("http://[::1]:")
        assert post(sim).status_code == 200


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"host": ""}, "host must be a string that is not empty"),
        ({"host": any_}, "host must be a string"),
        ({"port": -1}, "port must be an integer, from 0 to 65535, not -1"),
        ({"port": 65536}, "port must be an integer, from 0 to 65535"),
        ({"port": "8000"}, "port must be an integer"),
        ({"wire": "odd"}, "wire must be"),
    ],
)
def test_a_wrong_keyword_is_named(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Simulator(**keywords)


async def test_leaving_twice_does_nothing() -> None:
    sim = Simulator()
    async with sim:
        await sim.__aexit__(None, None, None)
