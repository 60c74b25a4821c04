"""RTP headers, added and stripped."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from terzetto.gateway.contract import Batch
from terzetto.gateway.rtp import RtpSink, RtpSource
from terzetto.net.endpoint import Address, DatagramEndpoint, EndpointOptions, Run
from terzetto.net.simulated import SimulatedHost, SimulatedNetwork
from terzetto.rtp.header import RtpPacket

PEER = Address("10.0.0.2", 5000)


def two_hosts() -> tuple[SimulatedHost, SimulatedHost]:
    network = SimulatedNetwork(1)
    return network.add_host("alice", "10.0.0.1"), network.add_host("bob", PEER.host)


def quiet(event: str, text: str, *, level: str = "info") -> None:
    raise AssertionError(f"unexpected: {event} {text}")


async def bound(host: SimulatedHost, port: int = 0) -> DatagramEndpoint:
    return await host.open_datagram_endpoint(EndpointOptions(local=Address("", port)))


async def datagrams(endpoint: DatagramEndpoint) -> list[bytes]:
    await trio.sleep(0.1)
    return [bytes(datagram) for run in endpoint.receive_nowait() for datagram in run.datagrams]


async def test_headers_count_up_and_carry_the_90_khz_clock(autojump_clock: MockClock) -> None:
    alice, bob = two_hosts()
    listening = await bound(bob, PEER.port)
    entropy = (7).to_bytes(4, "big") + (65535).to_bytes(2, "big") + (0).to_bytes(4, "big")
    sink = RtpSink(await bound(alice), PEER, quiet, payload_type=33, entropy=entropy)
    assert sink.send_nowait(Batch([b"one", b"two"], source_time=2.0)) is None
    await sink.send(Batch([b"three"], source_time=2.5))
    packets = [RtpPacket.decode(datagram) for datagram in await datagrams(listening)]
    assert [packet.sequence for packet in packets] == [65535, 0, 1]
    assert [packet.timestamp for packet in packets] == [180_000, 180_000, 225_000]
    assert {(packet.payload_type, packet.ssrc) for packet in packets} == {(33, 7)}
    assert [bytes(packet.payload) for packet in packets] == [b"one", b"two", b"three"]


async def test_what_the_socket_did_not_take_keeps_its_numbers(autojump_clock: MockClock) -> None:
    network = SimulatedNetwork(1)
    alice = network.add_host("alice", "10.0.0.1", uplink_rate=1e6)
    bob = network.add_host("bob", PEER.host)
    listening = await bound(bob, PEER.port)
    endpoint = await alice.open_datagram_endpoint(EndpointOptions(send_buffer=5000))
    sink = RtpSink(endpoint, PEER, quiet, payload_type=33, entropy=bytes(10))
    payloads = [bytes([index]) * 1000 for index in range(10)]
    rest = sink.send_nowait(Batch(payloads))
    assert rest is not None
    assert 0 < len(rest.payloads) < 10
    await sink.send(rest)
    packets = [RtpPacket.decode(datagram) for datagram in await datagrams(listening)]
    assert [packet.sequence for packet in packets] == list(range(10))
    assert [bytes(packet.payload) for packet in packets] == payloads


async def test_headers_of_all_kinds_are_stripped_and_gaps_counted(autojump_clock: MockClock) -> None:
    alice, bob = two_hosts()
    source = RtpSource(await bound(bob, PEER.port), tick=0.0)
    sending = await bound(alice)

    def packet(sequence: int, *, padding: int = 0, csrcs: tuple[int, ...] = ()) -> bytes:
        return RtpPacket(33, sequence, 0, 1, b"%d" % sequence, padding=padding, csrcs=csrcs).encode()

    arriving = [
        packet(65534),
        packet(65535, padding=4),
        packet(2, csrcs=(1, 2)),  # 0 and 1 are missing
        packet(1),  # but 1 comes late
        packet(3),
        b"\x80",  # no RTP
        b"\x80\xc8" + bytes(26),  # a sender report on the same port
        packet(30_000),  # a new beginning
        packet(30_001),
    ]
    await sending.send([Run(PEER, arriving)])
    await trio.sleep(0.1)
    got = [bytes(payload) for payload in (await source.receive()).payloads]
    assert got == [b"65534", b"65535", b"2", b"1", b"3", b"30000", b"30001"]
    statistics = source.statistics()
    assert statistics["missing"] == 1
    assert statistics["malformed"] == 1
