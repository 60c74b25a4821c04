from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rist.core.null_packets import delete_null_packets, restore_null_packets
from terzetto.rist.wire.header_extension import RistHeaderExtension
from terzetto.rtp.header import RtpPacket

SIZES = [188, 204]


def null(size: int = 188) -> bytes:
    return b"\x47\x1f\xff\x10".ljust(size, b"\xff")


def packet(number: int, size: int = 188) -> bytes:
    return bytes((0x47, 0x01, number, 0x10)).ljust(size, bytes((number,)))


def payload(kinds: str, size: int = 188) -> bytes:
    """``D`` is data, ``N`` a null packet."""
    return b"".join(null(size) if kind == "N" else packet(at, size) for at, kind in enumerate(kinds))


@pytest.mark.parametrize(
    ("kinds", "bits"),
    [
        ("NNDDDDN", 0b1100001),
        ("NDN", 0b1010000),
        ("NNNNN", 0b1111100),
        ("DDNN", 0b0011000),
        ("NNNNNNN", 0b1111111),
        ("N", 0b1000000),
    ],
)
@pytest.mark.parametrize("size", SIZES)
def test_the_examples_of_the_specification(kinds: str, bits: int, size: int) -> None:
    short, extension = delete_null_packets(payload(kinds, size))
    assert extension == RistHeaderExtension(deleted=bits, wide_packets=size == 204)
    assert len(short) == kinds.count("D") * size
    assert restore_null_packets(short, extension) == payload(kinds, size)


def test_a_packet_of_librist_0_2_7_is_restored() -> None:
    body = b"".join(packet(at) for at in range(2, 6))
    rtp = RtpPacket.decode(bytes.fromhex("90210000d978c2a8777dd1b85249000180610000") + body)
    assert rtp.extension is not None
    extension = RistHeaderExtension.decode(rtp.extension)
    assert extension is not None
    assert restore_null_packets(rtp.payload, extension) == payload("NNDDDDN")


def test_gstreamer_says_how_many_there_were_and_deletes_none() -> None:
    extension = RistHeaderExtension(deleted=0, original_count=7, sequence_high=0)
    assert restore_null_packets(payload("DDDDDDD"), extension) == payload("DDDDDDD")
    with_nulls = RistHeaderExtension(deleted=0b1000000, original_count=7)
    assert restore_null_packets(payload("DDDDDD"), with_nulls) == null() + payload("DDDDDD")


@pytest.mark.parametrize(
    "untouched",
    [
        b"",
        b"x",
        payload("NNNNNNNN"),  # eight
        payload("NNN")[:-1],
        payload("NDN").replace(b"\x47\x01", b"\x48\x01"),  # lost its sync
        payload("DDDDDDD"),
        # Null packets in a wider sense: error indicator, priority, payload unit start.
        b"\x47\x9f\xff\x10".ljust(188, b"\xff"),
        b"\x47\x3f\xff\x10".ljust(188, b"\xff"),
        b"\x47\x5f\xff\x10".ljust(188, b"\xff"),
    ],
)
def test_everything_else_is_left_alone(untouched: bytes) -> None:
    assert delete_null_packets(untouched) == (untouched, None)
    assert delete_null_packets(memoryview(untouched)) == (untouched, None)


@given(st.text("DN", min_size=1, max_size=7), st.sampled_from(SIZES), st.booleans())
def test_what_was_deleted_is_restored(kinds: str, size: int, view: bool) -> None:
    data = payload(kinds, size)
    short, extension = delete_null_packets(memoryview(data) if view else data)
    if extension is None:
        assert "N" not in kinds
        assert short == data
    else:
        assert restore_null_packets(short, extension) == data


@pytest.mark.parametrize(
    ("kinds", "extension"),
    [
        ("DDDDDDD", RistHeaderExtension(deleted=0b1000000)),  # eight
        ("DD", RistHeaderExtension(deleted=0b1000000, original_count=7)),
        ("DD", RistHeaderExtension(deleted=0b0000001)),  # beyond the third
        ("", RistHeaderExtension(deleted=0b0000001)),
    ],
)
def test_an_extension_that_does_not_fit_its_payload_is_malformed(
    kinds: str, extension: RistHeaderExtension
) -> None:
    with pytest.raises(MalformedPacket):
        restore_null_packets(payload(kinds), extension)


@given(
    st.binary(max_size=400),
    st.builds(
        RistHeaderExtension, st.none() | st.integers(0, 127), st.integers(0, 7), st.booleans(), st.none()
    ),
)
def test_nothing_is_blown_up_beyond_seven_packets(data: bytes, extension: RistHeaderExtension) -> None:
    try:
        restored = restore_null_packets(data, extension)
    except MalformedPacket:
        return
    assert restored == data or len(restored) <= 7 * 204
