"""Addresses survive every translation."""

from __future__ import annotations

import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import InvalidOption
from terzetto.net.addresses import address_of, address_of_raw, is_multicast, raw_of, sockaddr_of, zoned
from terzetto.net.ancillary import parse_control_raw, raw_control, source_control
from terzetto.net.endpoint import Address

ports = st.integers(0, 65535)
ipv4 = st.builds(Address, st.ip_addresses(v=4).map(str), ports)
ipv6 = st.builds(
    Address,
    st.ip_addresses(v=6)
    .map(lambda a: socket.inet_ntop(socket.AF_INET6, a.packed))
    .filter(lambda host: not host.startswith("::ffff:")),
    ports,
)


@given(ipv4)
def test_ipv4_survives_both_forms(address: Address) -> None:
    sockaddr = sockaddr_of(address, socket.AF_INET)

    assert address_of(sockaddr) == address
    assert address_of_raw(raw_of(sockaddr, socket.AF_INET), socket.AF_INET) == address


@given(st.one_of(ipv4, ipv6))
def test_a_socket_of_both_families_gives_back_what_it_was_given(address: Address) -> None:
    sockaddr = sockaddr_of(address, socket.AF_INET6)

    assert address_of(sockaddr) == address
    assert address_of_raw(raw_of(sockaddr, socket.AF_INET6), socket.AF_INET6) == address


@pytest.mark.skipif(sys.platform != "linux", reason="loopback is called lo on Linux")
def test_a_zone_survives_both_forms() -> None:
    address = Address("fe80::1%lo", 5)
    sockaddr = sockaddr_of(address, socket.AF_INET6)

    assert sockaddr == ("fe80::1", 5, 0, socket.if_nametoindex("lo"))
    assert address_of(sockaddr) == address
    assert address_of_raw(raw_of(sockaddr, socket.AF_INET6), socket.AF_INET6) == address


def test_an_interface_that_is_gone_stays_a_number() -> None:
    assert zoned("fe80::1", 4_000_000) == "fe80::1%4000000"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("224.0.0.1", True),
        ("239.255.255.255", True),
        ("223.255.255.255", False),
        ("240.0.0.1", False),
        ("ff02::1", True),
        ("FF02::1", True),
        ("fe80::1", False),
        ("", False),
    ],
)
def test_groups_are_told_from_hosts(host: str, expected: bool) -> None:
    assert is_multicast(host) is expected


@pytest.mark.parametrize(
    ("host", "port"), [("", 1), ("1.2.3", 1), ("::1::", 1), ("1.2.3.4", 65536), ("1.2.3.4", -1)]
)
def test_what_is_no_address_is_refused(host: str, port: int) -> None:
    with pytest.raises(InvalidOption):
        sockaddr_of(Address(host, port), socket.AF_INET)


@given(st.one_of(ipv4, ipv6))
def test_the_source_asked_for_is_the_destination_an_answer_would_show(address: Address) -> None:
    if is_multicast(address.host):
        assert source_control(address.host, socket.AF_INET6) == ()
    elif not address.host.startswith("fe80:"):
        raw = raw_control(source_control(address.host, socket.AF_INET6))
        assert parse_control_raw(raw).local == address.host


@given(st.binary(max_size=100))
def test_no_control_buffer_can_hurt(raw: bytes) -> None:
    parse_control_raw(raw)
