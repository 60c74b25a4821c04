"""The header extension of recordings that are replayed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rtp.header import HeaderExtension, RtpPacket, pack_header
from terzetto.rtp.onvif_extension import OnvifExtension

PLAIN = pack_header(96, 7, 8, 9, marker=True) + b"payload"


def test_the_bytes_are_those_of_the_specification() -> None:
    extension = OnvifExtension(1_500_000, is_clean_point=True, is_discontinuous=True, request_number=0x105)
    packet = extension.put_on(PLAIN)
    assert (
        packet == bytes.fromhex("90e00007 00000008 00000009 abac0003 83aa7e81 80000000 a0050000") + b"payload"
    )
    assert OnvifExtension.of(packet) == extension._replace(request_number=5)
    assert bytes(RtpPacket.decode(packet).payload) == b"payload"


@given(
    st.builds(
        OnvifExtension,
        st.integers(0, 4_000_000_000_000_000),
        *[st.booleans()] * 4,
        st.integers(0, 255),
    )
)
def test_what_is_written_is_read(extension: OnvifExtension) -> None:
    assert OnvifExtension.of(extension.put_on(PLAIN)) == extension


@given(st.binary(max_size=40))
def test_strangers_bytes_carry_none_or_a_sensible_one(data: bytes) -> None:
    found = OnvifExtension.of(data)
    assert found is None or found.request_number < 256


def test_other_extensions_are_none_of_ours() -> None:
    other = RtpPacket.decode(PLAIN)._replace(extension=HeaderExtension(0xBEDE, bytes(12))).encode()
    assert OnvifExtension.of(other) is None
    assert OnvifExtension.of(PLAIN) is None
    with pytest.raises(MalformedPacket):
        OnvifExtension.decode(HeaderExtension(0xABAC, bytes(8)))
