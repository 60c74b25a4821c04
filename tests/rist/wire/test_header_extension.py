from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.header_extension import RIST_EXTENSION_PROFILE, RistHeaderExtension
from terzetto.rtp.header import HeaderExtension, RtpPacket


def test_librist_deletes_nulls_1_2_and_7_of_7() -> None:
    packet = RtpPacket.decode(bytes.fromhex("90210000 d978c2a8 777dd1b8 52490001 80610000") + bytes(752))
    assert packet.extension is not None
    assert RistHeaderExtension.decode(packet.extension) == RistHeaderExtension(deleted=0b1100001)


def test_gstreamer_sets_size_and_upper_half_as_well() -> None:
    extension = HeaderExtension(RIST_EXTENSION_PROFILE, bytes.fromhex("f8000000"))
    expected = RistHeaderExtension(deleted=0, original_count=7, sequence_high=0)
    assert RistHeaderExtension.decode(extension) == expected
    assert expected.encode() == extension


def test_somebody_elses_extension_is_none_of_ours() -> None:
    assert RistHeaderExtension.decode(HeaderExtension(0xABAC, bytes(12))) is None


@pytest.mark.parametrize("size", range(4))
def test_too_short_an_extension_is_malformed(size: int) -> None:
    with pytest.raises(MalformedPacket):
        RistHeaderExtension.decode(HeaderExtension(RIST_EXTENSION_PROFILE, bytes(size)))


@given(
    st.builds(
        RistHeaderExtension,
        deleted=st.none() | st.integers(0, 0x7F),
        original_count=st.integers(0, 7),
        wide_packets=st.booleans(),
        sequence_high=st.none() | st.integers(0, 0xFFFF),
    )
)
def test_every_extension_survives_the_wire(extension: RistHeaderExtension) -> None:
    assert RistHeaderExtension.decode(extension.encode()) == extension


@given(st.binary(max_size=12))
def test_strange_bytes_are_understood_or_malformed(data: bytes) -> None:
    try:
        extension = RistHeaderExtension.decode(HeaderExtension(RIST_EXTENSION_PROFILE, data))
    except MalformedPacket:
        assert len(data) < 4
    else:
        assert extension is not None
