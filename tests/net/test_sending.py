"""Cutting a batch into system calls, and what happens when the kernel says no."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Sequence

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import InvalidOption
from terzetto.net.addresses import SockAddr
from terzetto.net.ancillary import ControlMessage
from terzetto.net.endpoint import Address, Buffer, Run
from terzetto.net.sending import GSO_BYTES, GSO_SEGMENTS, Sender, end_of_equal
from terzetto.net.troubles import TroubleLog
from tests.net.endpoints import MODES, opened, receive_datagrams, small_options, to
from tests.net.namespace import needs_namespace, run_in_namespace

PEER = Address("127.0.0.1", 9)


class ScriptedSocket(socket.socket):
    """Takes what it is sent, except where the script has an errno for the next call."""

    def __init__(self, script: Sequence[int]) -> None:
        super().__init__(socket.AF_INET, socket.SOCK_DGRAM)
        self.script = list(script)
        self.calls: list[list[bytes]] = []

    def _take(self, datagrams: list[bytes]) -> int:
        self.calls.append(datagrams)
        number = self.script.pop(0) if self.script else 0
        if number:
            raise OSError(number, "scripted")
        return sum(map(len, datagrams))

    def sendto(self, data: Buffer, target: SockAddr) -> int:  # type: ignore[override]
        return self._take([bytes(data)])

    def sendmsg(  # type: ignore[override]
        self, buffers: Sequence[Buffer], ancillary: Sequence[ControlMessage], flags: int, target: SockAddr
    ) -> int:
        return self._take([bytes(buffer) for buffer in buffers])


def send(
    script: Sequence[int], *runs: Run, gso: bool = True
) -> tuple[list[Run], ScriptedSocket, Sender, TroubleLog]:
    with ScriptedSocket(script) as sock:
        troubles = TroubleLog(sock, has_queue=False)
        sender = Sender(sock, troubles, gso=gso, mmsg=False, bound_host=None)
        return sender.send(runs), sock, sender, troubles


@given(st.lists(st.sampled_from([0, 1, 700, 1316, 64000, 65507]), min_size=1, max_size=200))
def test_what_is_joined_is_what_the_kernel_cuts_at_the_same_places(sizes: list[int]) -> None:
    start = 0
    while start < len(sizes):
        end = end_of_equal(sizes, start)
        group = sizes[start:end]
        assert 1 <= len(group) <= GSO_SEGMENTS
        if len(group) > 1:
            assert set(group[:-1]) == {group[0]}
            assert 0 < group[-1] <= group[0]
            assert sum(group) <= GSO_BYTES
        start = end


def test_what_finds_no_room_is_handed_back_in_order() -> None:
    first, second = Run(PEER, [b"a"] * 3), Run(PEER, [b"b"], 7, "127.0.0.1")
    left, sock, sender, troubles = send([0, 0, errno.EAGAIN], first, second, second, gso=False)

    assert left == [Run(PEER, [b"a"]), second, second]
    assert sender.datagrams == 2
    assert troubles.count == 0
    assert len(sock.calls) == 3


def test_a_joined_message_without_room_is_handed_back_whole() -> None:
    left, _, sender, _ = send([0, errno.EAGAIN], Run(PEER, [bytes(1000)] * 100))

    assert left == [Run(PEER, [bytes(1000)] * 36)]
    assert (sender.datagrams, sender.octets, sender.calls) == (64, 64_000, 1)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EMSGSIZE, errno.EIO])
def test_what_the_kernel_will_not_join_goes_apart_and_is_not_tried_again(number: int) -> None:
    batch = Run(PEER, [bytes(1400)] * 4)
    left, sock, sender, troubles = send([number], batch, batch)

    assert left == []
    assert [len(call) for call in sock.calls] == [4, 1, 1, 1, 1, 1, 1, 1, 1]
    assert sender.datagrams == 8
    assert troubles.count == 0


def test_smaller_datagrams_are_still_joined_after_larger_ones_were_refused() -> None:
    _, sock, _, _ = send([errno.EMSGSIZE], Run(PEER, [bytes(1400)] * 3), Run(PEER, [bytes(1200)] * 3))

    assert [len(call) for call in sock.calls] == [3, 1, 1, 1, 3]


def test_an_error_about_an_earlier_datagram_costs_a_second_attempt_and_nothing_else() -> None:
    left, sock, sender, troubles = send([errno.ECONNREFUSED], Run(PEER, [b"a"]), Run(PEER, [b"b"]))

    assert left == []
    assert sock.calls == [[b"a"], [b"a"], [b"b"]]
    assert sender.datagrams == 2
    assert troubles.count == 0


def test_an_error_that_stays_gives_up_the_datagrams_and_goes_on() -> None:
    script = [errno.ENETUNREACH] * 2
    left, _, sender, troubles = send(script, Run(PEER, [bytes(10)] * 5), Run(PEER, [b"b"]))

    assert left == []
    assert sender.datagrams == 1
    assert [(trouble.peer, trouble.kind) for trouble in troubles.poll()] == [(PEER, "unreachable")]


def test_a_name_is_refused_rather_than_looked_up() -> None:
    with pytest.raises(InvalidOption, match=r"'example\.org' is not a numeric address"):
        send([], Run(Address("example.org", 9), [b"x"]))


def test_an_ipv6_peer_is_refused_by_an_ipv4_endpoint() -> None:
    with pytest.raises(InvalidOption, match="this endpoint speaks IPv4 only"):
        send([], Run(Address("::1", 9), [b"x"]))


@pytest.mark.skipif(sys.platform != "linux", reason="loopback's MTU is Linux's")
@pytest.mark.interop
@needs_namespace
@pytest.mark.parametrize("mode", MODES)
def test_datagrams_above_the_mtu_arrive_although_they_cannot_be_joined(mode: str) -> None:
    async def body() -> None:
        async with opened(small_options(batching=mode), small_options(batching=mode)) as (sender, receiver):
            batch = [bytes([i]) * 2000 for i in range(20)]
            await sender.send(to(receiver, batch))

            assert await receive_datagrams(receiver, 20) == batch
            assert sender.poll_troubles() == []

    run_in_namespace("ip link set lo mtu 1500", body)


@pytest.mark.interop
@needs_namespace
@pytest.mark.parametrize("mode", MODES)
def test_a_full_send_buffer_makes_send_wait_and_loses_nothing(mode: str) -> None:
    async def body() -> None:
        async with opened(
            small_options(batching=mode, send_buffer=20_000), small_options(receive_buffer=200_000)
        ) as (sender, receiver):
            batch = [i.to_bytes(2, "big") * 600 for i in range(120)]
            left = sender.send_nowait(to(receiver, batch))
            assert left

            async with trio.open_nursery() as nursery:
                nursery.start_soon(sender.send, left)
                assert await receive_datagrams(receiver, 120) == batch
            assert sender.statistics().datagrams_sent == 120

    run_in_namespace("tc qdisc add dev lo root tbf rate 20mbit burst 70kb limit 10mb", body)
