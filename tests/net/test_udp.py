"""Kernel endpoints: what goes in comes out, in every way of moving it."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise, product

import pytest
import trio
import trio.testing

from terzetto.errors import InvalidOption
from terzetto.net.endpoint import Address, Run, SmallBufferWarning
from terzetto.net.receiving import BYTES_AT_ONCE, DATAGRAMS_AT_ONCE
from terzetto.net.udp import UdpEndpoint, open_udp_endpoint
from tests.net.endpoints import (
    HOSTS,
    MODES,
    arrived,
    opened,
    pair,
    receive_datagrams,
    receive_runs,
    small_options,
    to,
)

LINUX = sys.platform == "linux"


def numbered(count: int, size: int = 100) -> list[bytes]:
    return [index.to_bytes(4, "big") * (size // 4) for index in range(count)]


BATCHES = {
    "equal sizes": numbered(100),
    "the last one shorter": [*numbered(20), b"tail"],
    "sizes all different": [bytes([size % 256]) * size for size in range(1, 60)],
    "long and short by turns": [bytes([i]) * (1316 if i % 2 else 700) for i in range(40)],
    "a short one first": [b"head", *numbered(70, 1316)],
    "empty ones between": [b"", *numbered(3), b"", b"", *numbered(3), b""],
    "one byte each": [bytes([i]) for i in range(130)],
    "the largest there is": [os.urandom(65507), b"after"],
    "large ones": [bytes([i]) * 30000 for i in range(5)],
}


@pytest.mark.parametrize(("sending", "receiving"), list(product(MODES, MODES)))
@pytest.mark.parametrize("batch", BATCHES.values(), ids=BATCHES.keys())
async def test_every_way_of_sending_is_understood_by_every_way_of_receiving(
    batch: list[bytes], sending: str, receiving: str
) -> None:
    async with pair("127.0.0.1", sending, receiving) as (sender, receiver):
        await sender.send(to(receiver, batch))
        runs = await receive_runs(receiver, len(batch))

        assert [datagram for run in runs for datagram in run.datagrams] == batch
        assert {run.peer for run in runs} == {sender.local_address}
        assert receiver.statistics().datagrams_received == len(batch)
        assert receiver.statistics().bytes_received == sum(map(len, batch))
        assert sender.statistics().datagrams_sent == len(batch)
        assert sender.statistics().bytes_sent == sum(map(len, batch))
        assert sender.poll_troubles() == []


@pytest.mark.parametrize("mode", MODES)
async def test_ipv6_carries_the_same(mode: str) -> None:
    batch = [*numbered(80, 1200), b"", b"x" * 5000, b"tail"]
    async with pair("::1", mode, mode) as (sender, receiver):
        await sender.send(to(receiver, batch))

        assert await receive_datagrams(receiver, len(batch)) == batch


@pytest.mark.parametrize("mode", MODES)
async def test_memoryviews_leave_like_bytes(mode: str) -> None:
    whole = memoryview(bytes(range(250)) * 10)
    views = [whole[at : at + 500] for at in range(0, 2500, 500)]
    async with pair("127.0.0.1", mode) as (sender, receiver):
        await sender.send(to(receiver, [*views, whole[:7], whole[:9]]))

        assert await receive_datagrams(receiver, 7) == [bytes(v) for v in (*views, whole[:7], whole[:9])]


@pytest.mark.parametrize("mode", MODES)
async def test_what_was_handed_out_never_changes(mode: str) -> None:
    async with pair("127.0.0.1", "auto", mode) as (sender, receiver):
        await sender.send(to(receiver, [b"A" * 1000] * 40))
        first = [datagram for run in await receive_runs(receiver, 40) for datagram in run.datagrams]
        for filling in (b"B", b"C"):
            await sender.send(to(receiver, [filling * 1000] * 40))
            await receive_runs(receiver, 40)

        assert first == [b"A" * 1000] * 40
        assert all(memoryview(datagram).readonly for datagram in first)


@pytest.mark.parametrize("mode", MODES)
async def test_consecutive_datagrams_of_one_peer_are_one_run(mode: str) -> None:
    async with opened(*[small_options(batching=mode)] * 3) as (receiver, first, second):
        await first.send(to(receiver, [b"1"] * 40))
        await arrived()
        await second.send(to(receiver, [b"2"] * 3))
        await arrived()
        await first.send(to(receiver, [b"1"]))
        await arrived()
        runs = receiver.receive_nowait()

        # A busy kernel delivers on two processors and may change the order; what it is, neighbours are together.
        counts = {first.local_address: 0, second.local_address: 0}
        for run in runs:
            counts[run.peer] += len(run.datagrams)
        assert counts == {first.local_address: 41, second.local_address: 3}
        assert all(one.peer != next_one.peer for one, next_one in pairwise(runs))


@asynccontextmanager
async def flooded(mode: str, size: int) -> AsyncIterator[UdpEndpoint]:
    """An endpoint with 4000 datagrams waiting, or as many as the kernel would keep; too few skip the test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallBufferWarning)
        receiver = open_udp_endpoint(small_options(batching=mode, receive_buffer=16 << 20))
        counter = open_udp_endpoint(small_options(batching="plain", receive_buffer=16 << 20))
    async with receiver, counter, opened(small_options()) as (sender,):
        for endpoint in (receiver, counter):
            await sender.send(to(endpoint, [bytes(size)] * 4000))
        await arrived()
        kept = sum(len(run.datagrams) for _ in range(20) for run in counter.receive_nowait())
        if kept < 4000:
            pytest.skip(f"the kernel grants a buffer for {kept} of 4000 datagrams only")
        yield receiver


@pytest.mark.parametrize("size", [8, 1300])
@pytest.mark.parametrize("mode", MODES)
async def test_a_flood_is_taken_in_bounded_portions(mode: str, size: int) -> None:
    portions: list[int] = []
    async with flooded(mode, size) as receiver:
        with trio.fail_after(5):
            while sum(portions) < 4000:
                portions.append(sum(len(run.datagrams) for run in await receiver.receive()))

    # A bound may be passed by what one more system call brings: 32 messages of 64 datagrams or 64 KiB.
    assert max(portions) < min(DATAGRAMS_AT_ONCE, BYTES_AT_ONCE // size) + 32 * min(64, 65536 // size)
    assert len(portions) > 1


@pytest.mark.parametrize("mode", MODES)
async def test_the_rest_of_a_flood_is_taken_at_once_and_still_at_a_checkpoint(mode: str) -> None:
    async with flooded(mode, 8) as receiver:
        taken = sum(len(run.datagrams) for run in await receiver.receive())
        with trio.CancelScope() as scope:
            scope.cancel()
            await receiver.receive()
        assert scope.cancelled_caught
        while taken < 4000:
            with trio.testing.assert_checkpoints():
                taken += sum(len(run.datagrams) for run in await receiver.receive())

    assert taken == 4000


async def test_receive_nowait_on_a_quiet_socket_is_empty() -> None:
    async with pair() as (_, receiver):
        assert receiver.receive_nowait() == []
        assert receiver.statistics().calls_receive == 0


async def test_receive_and_send_are_checkpoints() -> None:
    async with pair() as (sender, receiver):
        with trio.testing.assert_checkpoints():
            await sender.send(to(receiver, [b"x"]))
        with trio.testing.assert_checkpoints():
            await receiver.receive()


async def test_a_second_waiter_is_refused() -> None:
    async with pair() as (_, receiver), trio.open_nursery() as nursery:
        nursery.start_soon(receiver.receive)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await receiver.receive()
        nursery.cancel_scope.cancel()


async def test_a_cancelled_receive_has_taken_nothing() -> None:
    async with pair() as (sender, receiver):
        with trio.move_on_after(0.01) as scope:
            await receiver.receive()
        assert scope.cancelled_caught
        await sender.send(to(receiver, [b"kept"]))
        with trio.CancelScope() as scope:
            scope.cancel()
            await receiver.receive()
        assert scope.cancelled_caught

        assert await receive_datagrams(receiver, 1) == [b"kept"]


async def test_closing_wakes_who_waits() -> None:
    async with pair() as (_, receiver):

        async def wait() -> None:
            with pytest.raises(trio.ClosedResourceError):
                await receiver.receive()

        with trio.fail_after(2):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wait)
                await trio.testing.wait_all_tasks_blocked()
                await receiver.aclose()


async def test_a_closed_endpoint_refuses_everything_but_closing() -> None:
    endpoint = open_udp_endpoint(small_options())
    endpoint.close()
    endpoint.close()
    await endpoint.aclose()

    for call in (
        endpoint.receive_nowait,
        lambda: endpoint.send_nowait([]),
        endpoint.poll_troubles,
        endpoint.statistics,
    ):
        with pytest.raises(trio.ClosedResourceError):
            call()
    with pytest.raises(trio.ClosedResourceError):
        await endpoint.receive()
    with pytest.raises(trio.ClosedResourceError):
        await endpoint.send([])


@pytest.mark.skipif(not LINUX, reason="counts /proc/self/fd")
async def test_no_file_stays_open() -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = open_files()
    for mode in MODES:
        async with pair("127.0.0.1", mode, mode) as (sender, receiver):
            await sender.send(to(receiver, [b"x"] * 3))
            with trio.move_on_after(0):
                await receiver.receive()
            taken = receiver.local_address.port
            with pytest.raises(OSError, match="in use"):
                open_udp_endpoint(small_options(port=taken))
            with pytest.raises(InvalidOption):
                open_udp_endpoint(small_options(sources=("10.0.0.1",)))

    assert open_files() == before


@pytest.mark.skipif(not LINUX, reason="all of 127/8 is ours on Linux only")
@pytest.mark.parametrize("mode", MODES)
async def test_an_answer_leaves_from_the_address_that_was_asked(mode: str) -> None:
    async with opened(small_options("127.0.0.3"), small_options("", batching=mode)) as (client, server):
        asked = Address("127.0.0.2", server.local_address.port)
        await client.send([Run(asked, [b"question"])])
        (run,) = await receive_runs(server, 1)
        assert run.local == "127.0.0.2"

        for answers in ([b"one"], [b"many"] * 10, [b"all", b"of", b"different", b"size", b""]):
            await server.send([Run(run.peer, answers, 0, run.local)])
            (answer,) = await receive_runs(client, len(answers))
            assert answer.peer == asked
            assert list(answer.datagrams) == answers


@pytest.mark.skipif(not LINUX, reason="all of 127/8 is ours on Linux only")
@pytest.mark.parametrize("mode", MODES)
async def test_datagrams_to_different_addresses_of_ours_are_different_runs(mode: str) -> None:
    async with opened(small_options(), small_options("", batching=mode)) as (client, server):
        port = server.local_address.port
        for host, count in (("127.0.0.2", 5), ("127.0.0.3", 2), ("127.0.0.2", 1)):
            await client.send([Run(Address(host, port), [b"x"] * count)])
            await arrived()
        runs = server.receive_nowait()

        counts: dict[str | None, int] = {}
        for run in runs:
            counts[run.local] = counts.get(run.local, 0) + len(run.datagrams)
        assert counts == {"127.0.0.2": 6, "127.0.0.3": 2}
        assert all(one.local != next_one.local for one, next_one in pairwise(runs))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("host", HOSTS)
async def test_a_bound_address_is_the_local_one_of_every_run(host: str, mode: str) -> None:
    async with pair(host, mode, mode) as (sender, receiver):
        await sender.send(to(receiver, [b"x"] * 3, local=host))

        assert [run.local for run in await receive_runs(receiver, 3)] == [host]


@pytest.mark.parametrize("mode", MODES)
async def test_an_endpoint_of_both_families_shows_each_as_it_is(mode: str) -> None:
    async with opened(
        small_options(""), small_options("", family=6), small_options("", family=0, batching=mode)
    ) as (ipv4, ipv6, both):
        port = both.local_address.port
        for client, host in ((ipv4, "127.0.0.1"), (ipv6, "::1")):
            await client.send([Run(Address(host, port), [b"question", b"again"])])
            (run,) = await receive_runs(both, 2)
            assert run.peer == Address(host, client.local_address.port)
            assert run.local == host
            await both.send([Run(run.peer, [b"answer"] * 3, 0, run.local)])
            (answer,) = await receive_runs(client, 3)
            assert answer.peer == Address(host, port)


async def test_an_ipv6_endpoint_hears_no_ipv4() -> None:
    async with opened(small_options("", family=6), small_options()) as (ipv6, ipv4):
        port = ipv6.local_address.port
        await ipv4.send([Run(Address("127.0.0.1", port), [b"unheard"])])
        await ipv6.send([Run(Address("::1", port), [b"heard"])])

        assert await receive_datagrams(ipv6, 1) == [b"heard"]
        assert [trouble.kind for trouble in ipv4.poll_troubles()] == (["refused"] if LINUX else [])


async def test_reuse_port_lets_two_bind() -> None:
    first = open_udp_endpoint(small_options(reuse_port=True))
    async with first, opened(small_options(port=first.local_address.port, reuse_port=True)) as (second,):
        assert second.local_address == first.local_address


def test_an_unknown_way_of_batching_is_refused() -> None:
    with pytest.raises(InvalidOption, match="batching is 'warp'"):
        open_udp_endpoint(small_options(batching="warp"))


@pytest.mark.skipif(not LINUX, reason="what the kernel grants is known for Linux")
@pytest.mark.parametrize(
    ("mode", "sends", "receives"),
    [("auto", 2, 1), ("gso", 2, 2), ("mmsg", 2, 4), ("plain", 96, 96)],
)
async def test_a_batch_costs_few_system_calls(mode: str, sends: int, receives: int) -> None:
    async with pair("127.0.0.1", mode, mode) as (sender, receiver):
        await sender.send(to(receiver, [bytes(1000)] * 96))
        await arrived()
        await receive_runs(receiver, 96)

        assert sender.statistics().calls_send <= sends
        assert receiver.statistics().calls_receive <= receives


async def test_sizes_all_different_leave_in_one_call() -> None:
    async with pair() as (sender, receiver):
        if not LINUX:
            pytest.skip("sendmmsg is Linux's")
        await sender.send(to(receiver, [bytes(size) for size in range(100, 160)]))

        assert sender.statistics().calls_send == 1


async def test_several_endpoints_share_their_memory_without_mixing() -> None:
    async with opened(*[small_options()] * 4) as endpoints:
        sender, *receivers = endpoints

        async def receive(endpoint: UdpEndpoint, filling: bytes) -> None:
            assert await receive_datagrams(endpoint, 60) == [filling * 50] * 60

        async with trio.open_nursery() as nursery:
            for index, receiver in enumerate(receivers):
                nursery.start_soon(receive, receiver, bytes([index]))
            for _ in range(3):
                for index, receiver in enumerate(receivers):
                    await sender.send(to(receiver, [bytes([index]) * 50] * 20))
