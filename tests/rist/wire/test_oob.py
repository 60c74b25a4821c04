from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.gre import IPV4, GreHeader
from terzetto.rist.wire.oob import Ipv4Packet, is_out_of_band_type
from tests.strategies import u8, u16

LIBRIST_AUTH = bytes.fromhex(
    "00000800 45000037d431400040fcc03f 7f000001 7f000001"
    "617574682c3132372e302e302e313a31343132362c3132372e302e302e313a35313030"
)

addresses = st.ip_addresses(v=4).map(str)


def test_the_text_that_librists_tools_send_after_a_login() -> None:
    header = GreHeader.decode(LIBRIST_AUTH)
    assert header.protocol_type == IPV4
    packet = Ipv4Packet.decode(LIBRIST_AUTH[header.size :])
    assert packet == Ipv4Packet(b"auth,127.0.0.1:14126,127.0.0.1:5100", "127.0.0.1", "127.0.0.1", 252, 54321)
    encoded = packet.encode()
    assert encoded[12:] == LIBRIST_AUTH[16:]
    assert encoded[:10] == LIBRIST_AUTH[4:14]


def test_the_checksum_is_that_of_rfc_1071() -> None:
    # The example of the header that everybody computes.
    data = Ipv4Packet(bytes(95), "192.168.0.1", "192.168.0.199", 17, 0).encode()
    assert data.hex().startswith("45000073000040004011b861c0a80001c0a800c7")


@given(st.builds(Ipv4Packet, st.binary(max_size=50), addresses, addresses, u8, u16))
def test_every_packet_survives_the_wire(packet: Ipv4Packet) -> None:
    assert Ipv4Packet.decode(packet.encode()) == packet


def test_options_are_skipped() -> None:
    plain = Ipv4Packet(b"text").encode()
    assert Ipv4Packet.decode(b"\x46" + plain[1:20] + b"opts" + plain[20:]).payload == b"text"


@pytest.mark.parametrize(
    "data", [b"", bytes(19), bytes(20), b"\x60" + bytes(39), b"\x4f" + bytes(40), b"\x44" + bytes(19)]
)
def test_what_is_no_ipv4_packet_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedPacket):
        Ipv4Packet.decode(data)


def test_a_payload_that_no_packet_holds_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="65515"):
        Ipv4Packet(bytes(65516)).encode()


@pytest.mark.parametrize(
    ("ether_type", "free"),
    [
        (0x0800, True),
        (0x86DD, True),
        (0x88B5, False),
        (0x88B6, False),
        (0x888E, False),
        (0xCCE0, False),
        (0x5FF, False),
    ],
)
def test_types_of_rists_own_are_not_for_out_of_band_data(ether_type: int, free: bool) -> None:
    assert is_out_of_band_type(ether_type) is free
