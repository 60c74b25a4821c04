"""The network's complaints become records, and never exceptions."""

from __future__ import annotations

import sys

import pytest
import trio
import trio.testing

from terzetto.net.endpoint import Address, Run, Trouble
from terzetto.net.troubles import TROUBLES_KEPT
from terzetto.net.udp import UdpEndpoint, open_udp_endpoint
from tests.net.endpoints import HOSTS, MODES, arrived, opened, pair, receive_datagrams, small_options, to
from tests.net.namespace import needs_namespace, run_in_namespace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's queue of errors is Linux's")


def closed_port(host: str) -> Address:
    endpoint = open_udp_endpoint(small_options(host))
    address = endpoint.local_address
    endpoint.close()
    return address


async def troubles_of(endpoint: UdpEndpoint) -> list[Trouble]:
    await arrived()
    return endpoint.poll_troubles()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("host", HOSTS)
async def test_a_closed_port_is_a_trouble_that_names_the_peer(host: str, mode: str) -> None:
    nobody = closed_port(host)
    async with opened(small_options(host, batching=mode)) as (endpoint,):
        await endpoint.send([Run(nobody, [b"hello"])])
        troubles = await troubles_of(endpoint)

        assert [(trouble.peer, trouble.kind) for trouble in troubles] == [(nobody, "refused")]
        assert "nothing listens" in troubles[0].text
        assert endpoint.poll_troubles() == []
        assert endpoint.statistics().troubles == 1


@pytest.mark.parametrize("mode", MODES)
async def test_one_closed_port_does_not_keep_others_from_being_served(mode: str) -> None:
    nobody = closed_port("127.0.0.1")
    async with pair("127.0.0.1", mode, mode) as (sender, receiver):
        for number in range(5):
            await sender.send([Run(nobody, [b"lost"] * 3)])
            await arrived()
            await sender.send(to(receiver, [bytes([number])] * 3))

        assert await receive_datagrams(receiver, 15) == [bytes([n]) for n in range(5) for _ in range(3)]
        assert sender.statistics().datagrams_sent == 30
        assert {trouble.peer for trouble in sender.poll_troubles()} == {nobody}


@pytest.mark.parametrize("mode", MODES)
async def test_who_waits_to_receive_sleeps_through_troubles(mode: str) -> None:
    nobody = closed_port("127.0.0.1")
    async with pair("127.0.0.1", "auto", mode) as (other, endpoint):
        received: list[bytes] = []

        async def receive() -> None:
            received.extend(await receive_datagrams(endpoint, 1))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            await trio.testing.wait_all_tasks_blocked()
            await endpoint.send([Run(nobody, [b"x"] * 10)])
            # The reader is woken by the reports, empties their queue, and blocks again instead of spinning.
            await trio.testing.wait_all_tasks_blocked(cushion=0.01)
            assert received == []
            assert endpoint.statistics().troubles >= 1  # one for each datagram, or for each joined message
            await other.send(to(endpoint, [b"at last"]))

        assert received == [b"at last"]


async def test_a_report_that_fails_no_call_does_not_keep_the_reader_awake() -> None:
    async with opened(small_options()) as (endpoint,):
        # Past the endpoint, so that what the kernel queues about it is there for the reader to find.
        with pytest.raises(OSError, match="too long"):
            endpoint._socket.sendto(bytes(65508), endpoint.local_address)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(endpoint.receive)
            with trio.fail_after(2):
                await trio.testing.wait_all_tasks_blocked(cushion=0.02)
            nursery.cancel_scope.cancel()


async def test_no_more_than_the_newest_troubles_are_kept() -> None:
    async with opened(small_options()) as (endpoint,):
        for port in range(1, TROUBLES_KEPT + 11):
            # The largest datagrams are refused by our own kernel, one by one and in order.
            await endpoint.send([Run(Address("127.0.0.1", port), [bytes(65508)])])
        troubles = endpoint.poll_troubles()

        assert [trouble.peer for trouble in troubles] == [
            Address("127.0.0.1", port) for port in range(11, TROUBLES_KEPT + 11)
        ]
        assert endpoint.statistics().troubles == TROUBLES_KEPT + 10


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("host", HOSTS)
async def test_a_datagram_too_large_is_left_out_and_its_neighbours_go(host: str, mode: str) -> None:
    async with pair(host, mode, mode) as (sender, receiver):
        await sender.send(to(receiver, [b"before", bytes(65536), b"after"]))

        assert await receive_datagrams(receiver, 2) == [b"before", b"after"]
        (trouble,) = sender.poll_troubles()
        assert trouble.peer == receiver.local_address
        assert trouble.kind == "too_big"
        assert "65536 bytes" in trouble.text
        assert sender.statistics().datagrams_sent == 2


async def test_a_broadcast_we_did_not_ask_for_is_a_trouble_of_another_kind() -> None:
    async with opened(small_options("")) as (endpoint,):
        await endpoint.send([Run(Address("255.255.255.255", 9), [b"x"])])
        (trouble,) = endpoint.poll_troubles()

        assert trouble.kind in ("other", "unreachable")
        assert endpoint.statistics().datagrams_sent == 0


@pytest.mark.interop
@needs_namespace
@pytest.mark.parametrize("mode", MODES)
def test_where_no_way_leads_is_unreachable(mode: str) -> None:
    async def body() -> None:
        async with opened(small_options("", batching=mode)) as (endpoint,):
            await endpoint.send(
                [Run(Address("192.0.2.1", 9), [b"x"] * 5), Run(Address("192.0.2.2", 9), [b"y"])]
            )
            troubles = endpoint.poll_troubles()

            assert {trouble.kind for trouble in troubles} == {"unreachable"}
            assert {str(trouble.peer) for trouble in troubles} == {"192.0.2.1:9", "192.0.2.2:9"}
            assert endpoint.statistics().datagrams_sent == 0

    run_in_namespace("", body)


@pytest.mark.interop
@needs_namespace
def test_a_host_that_does_not_answer_its_neighbours_is_unreachable() -> None:
    async def body() -> None:
        async with opened(small_options("")) as (endpoint,):
            peer = Address("10.9.0.2", 9)
            await endpoint.send([Run(peer, [b"x"] * 5)])
            troubles: list[Trouble] = []
            while not troubles:
                await trio.sleep(0.05)
                troubles = endpoint.poll_troubles()

            assert {(trouble.peer, trouble.kind) for trouble in troubles} == {(peer, "unreachable")}

    setup = """
        ip link add one type veth peer name two
        ip addr add 10.9.0.1/24 dev one
        ip link set one up
        ip link set two up
        ip ntable change name arp_cache dev one retrans 100
    """
    run_in_namespace(setup, body)
