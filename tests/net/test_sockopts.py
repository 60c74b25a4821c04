"""Options as the kernel sees them afterwards."""

from __future__ import annotations

import socket
import struct
import sys
import warnings
from typing import Any

import pytest
import trio

from terzetto.errors import InvalidOption
from terzetto.net import linux, multicast, sockopts
from terzetto.net.endpoint import Address, EndpointOptions, Run, SmallBufferWarning
from terzetto.net.sockopts import open_socket
from terzetto.net.udp import open_udp_endpoint
from tests.net.endpoints import arrived, opened, receive_datagrams, small_options, to
from tests.net.namespace import needs_namespace, run_in_namespace

LINUX = sys.platform == "linux"


class StingySocket(socket.socket):
    """Grants no privileges and 1000 bytes of buffer."""

    def setsockopt(self, level: int, option: int, value: Any, size: Any = None) -> None:
        if level == socket.SOL_SOCKET and option in (linux.SO_RCVBUFFORCE, linux.SO_SNDBUFFORCE):
            raise PermissionError(1, "scripted")
        if not (level == socket.SOL_SOCKET and option in (socket.SO_RCVBUF, socket.SO_SNDBUF)):
            super().setsockopt(level, option, value)

    def getsockopt(self, level: int, option: int, size: int = 0) -> int:  # type: ignore[override]
        if level == socket.SOL_SOCKET and option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            return 2000 if LINUX else 1000
        return super().getsockopt(level, option)


@pytest.fixture
def _stingy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "socket", StingySocket)
    monkeypatch.setattr(sockopts, "_warned_of_small_buffers", set())


@pytest.mark.usefixtures("_stingy")
def test_a_small_buffer_is_told_once_with_what_to_do() -> None:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        for _ in range(3):
            open_socket(
                EndpointOptions(local=Address("127.0.0.1", 0), receive_buffer=5000, send_buffer=6000)
            ).close()

    assert [warning.category for warning in told] == [SmallBufferWarning] * 2
    receive, send = (str(warning.message) for warning in told)
    assert "receive buffer of 1000 bytes where 5000 were asked for" in receive
    assert "send buffer of 1000 bytes where 6000 were asked for" in send
    if LINUX:
        assert "sysctl -w net.core.rmem_max=5000" in receive
        assert "sysctl -w net.core.wmem_max=6000" in send


@pytest.mark.usefixtures("_stingy")
def test_a_warning_turned_into_an_error_leaves_no_socket_open() -> None:
    # A socket left open would be a ResourceWarning, which is an error here too.
    with pytest.raises(SmallBufferWarning):
        open_socket(EndpointOptions(local=Address("127.0.0.1", 0)))


@pytest.mark.skipif(not LINUX, reason="the kernel doubles on Linux")
def test_what_is_granted_is_not_complained_about() -> None:
    with open_socket(small_options(receive_buffer=50_000, send_buffer=60_000)) as sock:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 100_000
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 120_000


def test_ttl_and_traffic_class_reach_ipv4() -> None:
    with open_socket(small_options(ttl=17, tos=0xB8, multicast_loop=False)) as sock:
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TTL) == 17
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 17
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 0xB8
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP) == 0


def test_hop_limit_and_traffic_class_reach_ipv6() -> None:
    with open_socket(small_options("::1", ttl=17, tos=0xB8, multicast_loop=False)) as sock:
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS) == 17
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS) == 17
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS) == 0xB8
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP) == 0


@pytest.mark.skipif(not LINUX, reason="IP_UNICAST_IF is Linux's")
@pytest.mark.parametrize("interface", ["lo", "127.0.0.1", "::1"])
def test_an_interface_is_found_by_name_and_by_address(interface: str) -> None:
    with open_socket(small_options(interface=interface)) as sock:
        index = sock.getsockopt(linux.SOL_IP, linux.IP_UNICAST_IF)

    assert index == struct.unpack("=I", struct.pack("!I", socket.if_nametoindex("lo")))[0]


@pytest.mark.interop
@needs_namespace
def test_unicast_leaves_by_the_interface_that_was_asked_for() -> None:
    def sent(name: str) -> int:
        with open("/proc/thread-self/net/dev", encoding="ascii") as table:
            (line,) = [line for line in table if line.strip().startswith(f"{name}:")]
        return int(line.split(":")[1].split()[9])

    async def body() -> None:
        before = sent("one"), sent("two")
        async with opened(small_options("", interface="two", batching="plain")) as (endpoint,):
            await endpoint.send([Run(Address("192.0.2.1", 9), [b"x"] * 3)])
            assert endpoint.poll_troubles() == []
        assert sent("one") == before[0]
        assert sent("two") == before[1] + 3

    run_in_namespace(
        """
        ip link add one type veth peer name far1
        ip link add two type veth peer name far2
        ip link set far1 up
        ip link set far2 up
        ip link set one addrgenmode none
        ip link set two addrgenmode none
        ip addr add 10.1.0.1/24 dev one
        ip addr add 10.2.0.1/24 dev two
        ip link set one up
        ip link set two up
        ip route add default dev one metric 1
        ip route add default dev two metric 2
        ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:01 dev two
        """,
        body,
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ttl": 0}, "ttl is 0"),
        ({"ttl": 256}, "ttl is 256"),
        ({"tos": -1}, "tos is -1"),
        ({"family": 5}, "family is 5"),
    ],
)
def test_values_out_of_range_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        open_socket(small_options(**changes))


@pytest.mark.skipif(not LINUX, reason="SO_RXQ_OVFL is Linux's")
@pytest.mark.parametrize("mode", ["auto", "gso", "mmsg"])
async def test_what_the_kernel_drops_is_counted(mode: str) -> None:
    async with opened(
        small_options("", batching=mode, receive_buffer=5000), small_options(batching="plain")
    ) as (receiver, sender):
        there = [Run(Address("127.0.0.1", receiver.local_address.port), [bytes(500)] * 100)]
        taken = 0
        for _ in range(3):  # the count travels beside a datagram that found room after the loss
            await sender.send(there)
            await arrived()
            taken += sum(len(run.datagrams) for run in receiver.receive_nowait())
        await sender.send(to(receiver, []))
        await sender.send([there[0]._replace(datagrams=[b"last"])])
        await arrived()
        assert [list(run.datagrams) for run in receiver.receive_nowait()] == [[b"last"]]

        assert 0 < taken < 300
        assert receiver.statistics().dropped_by_kernel == 300 - taken


async def test_nothing_that_only_linux_knows_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    class PortableSocket(socket.socket):
        def setsockopt(self, level: int, option: int, value: Any, size: Any = None) -> None:
            assert (level, option) in portable
            super().setsockopt(level, option, value)

    portable = {
        (socket.SOL_SOCKET, socket.SO_RCVBUF),
        (socket.SOL_SOCKET, socket.SO_SNDBUF),
        (socket.IPPROTO_IP, socket.IP_TTL),
        (socket.IPPROTO_IP, socket.IP_TOS),
        (socket.IPPROTO_IP, socket.IP_MULTICAST_TTL),
        (socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP),
    }
    for module in (linux, sockopts, multicast):
        monkeypatch.setattr(module, "IS_LINUX", False)
    monkeypatch.setattr(socket, "socket", PortableSocket)
    options = small_options(batching="plain", ttl=5, tos=0xB8)
    async with opened(options, options) as (sender, receiver):
        nobody = Address("127.0.0.1", 1)
        await sender.send([Run(nobody, [b"x"] * 3), *to(receiver, [b"1", b"2"])])

        assert await receive_datagrams(receiver, 2) == [b"1", b"2"]
        assert sender.poll_troubles() == []


def test_an_endpoint_can_be_closed_when_the_event_loop_is_gone() -> None:
    endpoint = open_udp_endpoint(small_options())
    endpoint.close()
    with pytest.raises(trio.ClosedResourceError):
        endpoint.receive_nowait()
