"""Which interfaces this machine has."""

from __future__ import annotations

import socket
import sys

import pytest

from terzetto.errors import InvalidOption
from terzetto.net.interfaces import interface_index, list_interfaces


def test_every_interface_is_listed_once() -> None:
    assert {(each.index, each.name) for each in list_interfaces()} == set(socket.if_nameindex())


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell names alone")
def test_the_loopback_interface_is_known_with_its_address() -> None:
    loopback = next(each for each in list_interfaces() if "127.0.0.1" in each.addresses)
    assert loopback.is_loopback
    assert loopback.is_up
    assert interface_index(loopback.name) == interface_index("127.0.0.1") == loopback.index


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell names alone")
def test_every_listed_address_names_its_interface() -> None:
    for interface in list_interfaces():
        for address in interface.addresses:
            if not address.startswith("fe80"):  # the same may be on several
                assert interface_index(address) == interface.index


def test_what_is_no_interface_is_refused() -> None:
    with pytest.raises(InvalidOption, match="neither the name nor an address"):
        interface_index("nonsense0")
