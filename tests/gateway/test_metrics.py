"""A route's counters over HTTP: what Prometheus' own parser reads is what the route counted."""

from __future__ import annotations

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import MockClock

import terzetto as tz
from terzetto.gateway import metrics
from terzetto.gateway.contract import InputSettings
from terzetto.gateway.metrics import render, serve_metrics
from terzetto.gateway.registry import plan_sink, plan_source
from terzetto.gateway.route import EndpointReport, Notice, Route
from terzetto.net.network import current_network, use_network
from terzetto.net.simulated import LinkConditions, SimulatedNetwork
from terzetto.net.stream import StreamOptions
from terzetto.primitives.datagrams import Address


async def ask(port: int, request: bytes, host: str = "bob") -> tuple[str, str]:
    """Head and body of the answer."""
    address = (await current_network().resolve(host, port))[0]
    stream = await current_network().open_tcp_stream(address, StreamOptions())
    answer = b""
    async with stream:
        await stream.send_all(request)
        while more := await stream.receive_some():
            answer += more
    head, _, body = answer.decode().partition("\r\n\r\n")
    return head, body


async def test_a_relays_counters_are_served_while_it_runs(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, LinkConditions(delay=0.01, loss=0.1))
    notices: list[Notice] = []
    with use_network(bob):
        route = Route(
            plan_source("rist://@:5000?buffer=300", InputSettings()),
            [plan_sink("rist://@:6000"), plan_sink("udp://10.0.0.1:7000")],
            notice=notices.append,
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(route.run)
            where = await nursery.start(serve_metrics, Address("", 0), lambda: render(route.reports()))
            with use_network(alice):
                async with tz.open_rist_sender("rist://bob:5000?buffer=300") as sender:
                    for _ in range(300):
                        await sender.send_packet(bytes(200))
                        await trio.sleep(0.001)
                    await trio.sleep(1)
                    head, text = await ask(where.port, b"GET /metrics HTTP/1.1\r\nHost: bob\r\n\r\n")
            nursery.cancel_scope.cancel()
    assert head.startswith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
    samples = {
        (sample.name, sample.labels["role"], sample.labels["endpoint"].partition(":")[0]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["terzetto_relay_packets_total", "input", "rist"] == 300
    assert samples["terzetto_relay_packets_total", "output", "udp"] == 300
    assert samples["terzetto_relay_bytes_total", "output", "udp"] == 60_000
    assert samples["rist_client_flow_delivered_packets_total", "input", "rist"] == 300
    assert samples["rist_client_flow_recovered_packets_total", "input", "rist"] > 0
    assert samples["rist_sender_peer_connected", "output", "rist"] == 0
    assert text.count("# TYPE rist_client_flow_delivered_packets_total") == 1


def test_numbers_of_other_protocols_keep_their_own_names() -> None:
    report = EndpointReport("srt://h:1", "input", 1, 2, details={"lost": 3, "peer": "x", "ok": True})
    text = render([report, report]).decode()
    assert 'terzetto_srt_lost{endpoint="srt://h:1",role="input"} 3.0' in text
    assert "peer" not in text


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200 OK"),
        (b"HEAD /metrics HTTP/1.1\r\n\r\n", "200 OK"),
        (b"GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        (bytes(9000), "400 Bad Request"),
    ],
)
async def test_strangers_get_short_answers(request_: bytes, status: str, autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    with use_network(network.add_host("bob")):
        async with trio.open_nursery() as nursery:
            where = await nursery.start(serve_metrics, Address("", 0), lambda: b"up 1\n")
            head, body = await ask(where.port, request_)
            nursery.cancel_scope.cancel()
    assert head.startswith(f"HTTP/1.1 {status}\r\n")
    assert (body == "up 1\n") == (status == "200 OK" and not request_.startswith(b"HEAD"))


async def test_who_says_nothing_is_let_go_and_keeps_nobody_out_for_long(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_MOST_AT_ONCE", 2)
    network = SimulatedNetwork(1)
    with use_network(network.add_host("bob")):
        async with trio.open_nursery() as nursery:
            where = await nursery.start(serve_metrics, Address("", 0), lambda: b"up 1\n")
            address = (await current_network().resolve("bob", where.port))[0]
            silent = [await current_network().open_tcp_stream(address, StreamOptions()) for _ in range(2)]
            with trio.fail_after(6):
                _, body = await ask(where.port, b"GET /metrics HTTP/1.1\r\n\r\n")
            assert body == "up 1\n"
            for stream in silent:
                assert await stream.receive_some() == b""
                stream.close()
            nursery.cancel_scope.cancel()
