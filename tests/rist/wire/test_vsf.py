from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.gre import EAPOL, IPV4, KEEPALIVE, REDUCED, VSF, GreHeader
from terzetto.rist.wire.vsf import TunnelContent, decode_future_nonce, unwrap, wrapping
from tests.strategies import u16

# Whole datagrams as libRIST sends them, what they carry, and the part after every header.
GOLDEN = {
    "0.2.7 media": (
        "000088b6 8001 07b0 80210000 d94c37fa 1c619214 47000010524953542d746573742d7061796c6f61642d30303030",
        TunnelContent.DATA,
        "800107b080210000",
    ),
    "0.2.12 media, revision 2": (
        "1010cce0 00000034 00000000 8001 07b0 80210000 da93f194 b5447100 47000010",
        TunnelContent.DATA,
        "800107b080210000",
    ),
    "0.2.12 report to a peer of revision 0": (
        "100088b6 00000003 07b1 8000 81c90007",
        TunnelContent.DATA,
        "07b1800081c90007",
    ),
    "0.2.7 repeat": (
        "000088b6 8001 07b0 80210005 dad70261 40d93ec5 47000510",
        TunnelContent.DATA,
        "800107b080210005",
    ),
    "0.2.7 range NACK": (
        (
            "000088b6 07b1 8000 80c9000140d93ec4 81ca000440d93ec4010672786e616d6500000000"
            "80cc000340d93ec45249535400050000"
        ),
        TunnelContent.DATA,
        "07b1800080c90001",
    ),
    "0.2.12 range NACK": (
        (
            "1010cce0 0000002e 00000000 07b1 8000 80c900019189b178 81ca00049189b178010672786e616d6500000000"
            "80cc00039189b1785249535400090003"
        ),
        TunnelContent.DATA,
        "07b1800080c90001",
    ),
    "keepalive, revision 2": (
        "1010cce0 00000000 00008000 060f744395c0 2520",
        TunnelContent.KEEPALIVE,
        "060f744395c02520",
    ),
    "keepalive, revision 1": (
        "100888b5 00000003 060f744395c0 2520",
        TunnelContent.KEEPALIVE,
        "060f744395c02520",
    ),
    "buffer negotiation": (
        "1010cce0 00000006 00008002 07d0 0000 0000",
        TunnelContent.BUFFER_NEGOTIATION,
        "07d000000000",
    ),
    "login": ("0000888e 02010000", TunnelContent.EAPOL, "02010000"),
    "out of band": ("00000800 45000037", TunnelContent.OUT_OF_BAND, "45000037"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_datagrams_of_librist_say_what_they_carry(name: str) -> None:
    text, content, start = GOLDEN[name]
    data = bytes.fromhex(text)
    header = GreHeader.decode(data)
    found, body = unwrap(header.protocol_type, data[header.size :])
    assert found is content
    assert bytes(body[:8]).hex() == start
    if content is not TunnelContent.OUT_OF_BAND:
        protocol_type, before = wrapping(content, header.version)
        assert header.encode() + before + body == data
        assert protocol_type == header.protocol_type


def test_the_future_nonce() -> None:
    content, body = unwrap(VSF, bytes.fromhex("00008001 aabbccdd"))
    assert content is TunnelContent.FUTURE_NONCE
    assert decode_future_nonce(body) == b"\xaa\xbb\xcc\xdd"
    with pytest.raises(MalformedPacket):
        decode_future_nonce(b"abc")


@pytest.mark.parametrize(
    ("content", "version"),
    [
        (TunnelContent.BUFFER_NEGOTIATION, 1),
        (TunnelContent.FUTURE_NONCE, 0),
        (TunnelContent.OUT_OF_BAND, 2),
    ],
)
def test_what_a_revision_cannot_say_is_a_mistake_of_ours(content: TunnelContent, version: int) -> None:
    with pytest.raises(ValueError, match=str(version)):
        wrapping(content, version)


@pytest.mark.parametrize("text", ["", "000080", "00010000", "00000001", "80000000"])
def test_a_vsf_header_that_makes_no_sense_is_malformed(text: str) -> None:
    with pytest.raises(MalformedPacket, match="VSF"):
        unwrap(VSF, bytes.fromhex(text))


@pytest.mark.parametrize(
    ("protocol_type", "content"),
    [
        (REDUCED, TunnelContent.DATA),
        (KEEPALIVE, TunnelContent.KEEPALIVE),
        (EAPOL, TunnelContent.EAPOL),
        (IPV4, TunnelContent.OUT_OF_BAND),
        (0x86DD, TunnelContent.OUT_OF_BAND),
    ],
)
def test_other_types_carry_their_payload_untouched(protocol_type: int, content: TunnelContent) -> None:
    assert unwrap(protocol_type, b"anything") == (content, b"anything")


@given(u16, st.binary(max_size=12))
def test_strange_bytes_are_understood_or_malformed(protocol_type: int, data: bytes) -> None:
    try:
        content, body = unwrap(protocol_type, data)
    except MalformedPacket:
        assert protocol_type == VSF
    else:
        assert isinstance(content, TunnelContent)
        assert data.endswith(body)
