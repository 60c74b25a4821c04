"""Groups: who hears what, by which interface."""

from __future__ import annotations

from typing import Any

import pytest

from terzetto.errors import InvalidOption
from terzetto.net.endpoint import Address, Run
from terzetto.net.udp import UdpEndpoint, open_udp_endpoint
from tests.net.endpoints import MODES, arrived, opened, receive_datagrams, receive_runs, small_options
from tests.net.namespace import needs_namespace, run_in_namespace

in_namespace = [pytest.mark.interop, needs_namespace]

# Two interfaces and a route to no group at all, so that only what was asked for decides.
TWO_INTERFACES = """
    ip link add one type veth peer name far1
    ip link add two type veth peer name far2
    ip link set far1 up
    ip link set far2 up
    ip addr add 10.1.0.1/24 dev one
    ip addr add 10.2.0.1/24 dev two
    ip addr add 10.2.0.2/24 dev two
    ip addr add fd01::1/64 dev one nodad
    ip addr add fd02::1/64 dev two nodad
    ip link set one up
    ip link set two up
"""


async def heard(endpoint: UdpEndpoint) -> list[bytes]:
    await arrived()
    return [bytes(datagram) for run in endpoint.receive_nowait() for datagram in run.datagrams]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("group", "interface"),
    [("239.1.1.1", "one"), ("239.1.1.1", "10.2.0.1"), ("ff15::5", "two"), ("ff15::5", "fd01::1")],
)
class TestOfOneGroup:
    pytestmark = in_namespace

    def test_a_member_hears_the_group_and_answers_from_an_address_of_its_own(
        self, group: str, interface: str, mode: str
    ) -> None:
        async def body() -> None:
            family = 6 if ":" in group else 4
            common = small_options("", family=family, interface=interface, batching=mode)
            async with opened(
                common, small_options("", family=family, interface=interface, groups=(group,), batching=mode)
            ) as (sender, member):
                batch = [bytes([i]) * 500 for i in range(20)]
                await sender.send([Run(Address(group, member.local_address.port), batch)])
                (run,) = await receive_runs(member, 20)
                assert list(run.datagrams) == batch
                assert run.local == {"one": "10.1.0.1", "10.2.0.1": "10.2.0.1"}.get(interface * (family == 4))

                await member.send([Run(run.peer, [b"thanks"], 0, run.local)])
                assert await receive_datagrams(sender, 1) == [b"thanks"]

        run_in_namespace(TWO_INTERFACES, body)

    def test_a_bound_group_is_joined_and_nothing_else_is_heard(
        self, group: str, interface: str, mode: str
    ) -> None:
        async def body() -> None:
            family = 6 if ":" in group else 4
            other = "ff15::6" if family == 6 else "239.1.1.2"
            common = small_options("", family=family, interface=interface)
            async with opened(common, small_options(group, interface=interface, batching=mode)) as (
                sender,
                member,
            ):
                port = member.local_address.port
                async with opened(
                    small_options("", port, family=family, interface=interface, groups=(other,))
                ):
                    await sender.send(
                        [Run(Address(other, port), [b"other"]), Run(Address(group, port), [b"ours"])]
                    )

                    assert await heard(member) == [b"ours"]

        run_in_namespace(TWO_INTERFACES, body)


@pytest.mark.interop
@needs_namespace
@pytest.mark.parametrize("family", [4, 6])
def test_the_interface_decides_where_a_group_is_heard(family: int) -> None:
    async def body() -> None:
        group = "ff15::5" if family == 6 else "239.1.1.1"
        async with opened(
            small_options("", family=family, interface="one"),
            small_options("", family=family, interface="two"),
            small_options("", family=family, interface="two", groups=(group,)),
        ) as (by_one, by_two, member):
            to_group = Address(group, member.local_address.port)
            await by_one.send([Run(to_group, [b"by one"])])
            await by_two.send([Run(to_group, [b"by two"])])

            assert await heard(member) == [b"by two"]

    run_in_namespace(TWO_INTERFACES, body)


@pytest.mark.interop
@needs_namespace
@pytest.mark.parametrize("family", [4, 6])
def test_who_joined_nothing_hears_nothing_of_what_others_joined(family: int) -> None:
    async def body() -> None:
        group = "ff15::5" if family == 6 else "239.1.1.1"
        member_options = small_options("", family=family, interface="one", groups=(group,), reuse_port=True)
        async with opened(member_options) as (member,):
            port = member.local_address.port
            async with opened(
                small_options("", port, family=family, reuse_port=True),
                small_options("", family=family, interface="one"),
            ) as (outsider, sender):
                await sender.send([Run(Address(group, port), [b"x"] * 8)])

                assert await heard(outsider) == []

    run_in_namespace(TWO_INTERFACES, body)


@pytest.mark.interop
@needs_namespace
@pytest.mark.parametrize(
    ("group", "wanted", "unwanted"),
    [("232.1.1.1", "10.2.0.1", "10.2.0.2"), ("ff35::5", "fd02::1", "fd02::2")],
)
def test_a_source_specific_member_hears_its_sources_only(group: str, wanted: str, unwanted: str) -> None:
    async def body() -> None:
        async with opened(
            small_options(wanted, interface="two"),
            small_options(unwanted, interface="two"),
            small_options(group, interface="two", sources=(wanted,)),
        ) as (source, intruder, member):
            to_group = Address(group, member.local_address.port)
            await intruder.send([Run(to_group, [b"unwanted"])])
            await source.send([Run(to_group, [b"wanted"])])

            assert await heard(member) == [b"wanted"]

    run_in_namespace(TWO_INTERFACES + "ip addr add fd02::2/64 dev two nodad", body)


@pytest.mark.interop
@needs_namespace
@pytest.mark.parametrize("family", [4, 6])
def test_without_loop_this_host_does_not_hear_itself(family: int) -> None:
    async def body() -> None:
        group = "ff15::5" if family == 6 else "239.1.1.1"
        async with opened(
            small_options("", family=family, interface="one", multicast_loop=False),
            small_options("", family=family, interface="one", groups=(group,)),
        ) as (sender, member):
            await sender.send([Run(Address(group, member.local_address.port), [b"x"])])

            assert await heard(member) == []
            assert sender.statistics().datagrams_sent == 1

    run_in_namespace(TWO_INTERFACES, body)


@pytest.mark.interop
@needs_namespace
def test_two_receivers_of_one_group_both_hear_it() -> None:
    async def body() -> None:
        async with opened(small_options("239.1.1.1", interface="one")) as (first,):
            port = first.local_address.port
            async with opened(
                small_options("239.1.1.1", port, interface="one"), small_options("", interface="one")
            ) as (second, sender):
                await sender.send([Run(Address("239.1.1.1", port), [b"to all"])])

                assert await heard(first) == await heard(second) == [b"to all"]

    run_in_namespace(TWO_INTERFACES, body)


@pytest.mark.interop
@needs_namespace
@pytest.mark.parametrize("mode", MODES)
def test_a_link_local_peer_carries_its_zone_and_is_answered(mode: str) -> None:
    async def body() -> None:
        async with opened(
            small_options("fe80::1%one", batching=mode), small_options("", family=6, batching=mode)
        ) as (first, second):
            assert first.local_address.host == "fe80::1%one"
            await first.send([Run(Address("fe80::1%one", second.local_address.port), [b"hello"] * 3)])
            (run,) = await receive_runs(second, 3)
            assert run.peer == first.local_address
            assert run.local == "fe80::1%one"
            await second.send([Run(run.peer, [b"hello too"] * 3, 0, run.local)])
            assert await receive_datagrams(first, 3) == [b"hello too"] * 3

    run_in_namespace(TWO_INTERFACES + "ip addr add fe80::1/64 dev one nodad", body)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"groups": ("10.0.0.1",)}, "'10.0.0.1' is not a multicast group"),
        ({"groups": ("ff15::5",)}, "another address family"),
        ({"sources": ("10.0.0.1",)}, "no group is given"),
        (
            {"groups": ("239.1.1.1",), "interface": "nowhere0"},
            "'nowhere0' is neither the name nor an address",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        open_udp_endpoint(small_options("", **changes))
