"""The real network: what it opens, resolves and refuses."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time

import pytest
import trio
import trio.testing

from terzetto.errors import AddressInUse, InvalidOption, NoRoute, PermissionRefused, UnknownHost
from terzetto.net.endpoint import Address
from terzetto.net.kernel import KERNEL
from terzetto.net.network import current_network
from terzetto.net.sockopts import explained
from tests.net.endpoints import small_options


async def test_the_kernel_is_the_network_unless_another_is_installed() -> None:
    assert current_network() is KERNEL


async def test_a_taken_port_is_named_and_the_other_program_can_be_found() -> None:
    async with await KERNEL.open_datagram_endpoint(small_options()) as first:
        port = first.local_address.port
        with pytest.raises(AddressInUse, match=f"127.0.0.1:{port} is in use.*ss -lunp"):
            await KERNEL.open_datagram_endpoint(small_options(port=port))


async def test_a_foreign_address_cannot_be_bound() -> None:
    with pytest.raises(
        NoRoute, match=r"192\.0\.2\.77 is not an address of this machine; bind one of its own"
    ):
        await KERNEL.open_datagram_endpoint(small_options("192.0.2.77"))


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("localhost", 0, "'localhost' is not a numeric address"),
        ("fe80::1%nowhere0", 0, "zone 'nowhere0' of 'fe80::1%nowhere0' is not an interface"),
        ("127.0.0.1", 65536, "port 65536"),
        ("", -1, "port -1"),
    ],
)
async def test_what_cannot_be_bound_is_an_invalid_option(host: str, port: int, message: str) -> None:
    with pytest.raises(InvalidOption, match=message):
        await KERNEL.open_datagram_endpoint(small_options(host, port))


@pytest.mark.skipif(sys.platform != "linux", reason="others bind it or say so differently")
async def test_a_link_local_address_without_zone_is_told_to_name_one() -> None:
    with pytest.raises(NoRoute, match="write fe80::1%interface"):
        await KERNEL.open_datagram_endpoint(small_options("fe80::1"))


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.EACCES, "does not let this user bind 127.0.0.1:80; ports below 1024"),
        (errno.EMFILE, "ulimit -n"),
    ],
)
def test_what_the_system_does_not_grant_is_explained(number: int, message: str) -> None:
    error = explained(OSError(number, os.strerror(number)), small_options("127.0.0.1", 80))

    assert isinstance(error, PermissionRefused)
    assert message in str(error)


@pytest.mark.parametrize(
    ("host", "family", "expected"),
    [
        ("192.0.2.1", 0, Address("192.0.2.1", 5)),
        ("192.0.2.1", 4, Address("192.0.2.1", 5)),
        ("2001:db8::1", 0, Address("2001:db8::1", 5)),
        ("2001:db8::1", 6, Address("2001:db8::1", 5)),
    ],
)
async def test_a_numeric_host_is_its_own_address(host: str, family: int, expected: Address) -> None:
    with trio.testing.assert_checkpoints():
        assert await KERNEL.resolve(host, 5, family=family) == [expected]


async def test_localhost_is_this_machine() -> None:
    assert await KERNEL.resolve("localhost", 5, family=4) == [Address("127.0.0.1", 5)]


@pytest.mark.parametrize(
    ("host", "family", "message"),
    [
        ("", 0, "no host is given"),
        ("192.0.2.1", 6, "is not an IPv6 address"),
        ("::1", 4, "is not an IPv4 address"),
        ("no such host", 0, "no host named 'no such host' is known; check the spelling"),
        ("a" * 70 + ".invalid", 0, "no host named"),
        (".", 0, "no host named"),
        ("x\0y", 0, "no host named"),
    ],
)
async def test_a_host_that_does_not_resolve_is_unknown(
    host: str, family: int, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def getaddrinfo(host: str, *args: object, **kwargs: object) -> list[object]:
        host.encode("idna")
        raise socket.gaierror(socket.EAI_NONAME, "scripted")  # so that no name server is asked

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(UnknownHost, match=message):
        await KERNEL.resolve(host, 5, family=family)


async def test_a_silent_name_server_is_not_blamed_on_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    async def getaddrinfo(*args: object, **kwargs: object) -> list[object]:
        raise socket.gaierror(socket.EAI_AGAIN, "scripted")

    monkeypatch.setattr(trio.socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(UnknownHost, match=r"the name server did not answer for 'example\.org'"):
        await KERNEL.resolve("example.org", 5)


async def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(InvalidOption, match="family is 5"):
        await KERNEL.resolve("::1", 5, family=5)


def test_entropy_is_as_long_as_asked_and_never_the_same() -> None:
    assert len(KERNEL.entropy(32)) == 32
    assert KERNEL.entropy(32) != KERNEL.entropy(32)


async def test_the_wall_clock_is_trios_clock_plus_the_offset() -> None:
    now = round(trio.current_time() * 1e6) + KERNEL.wall_clock_offset()

    assert abs(now - time.time_ns() // 1000) < 1_000_000
