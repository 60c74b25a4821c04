from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.link_quality import LQM_SIZE, LinkQuality
from terzetto.rtp.receiver_report import ReceiverReport

GOLDEN = bytes.fromhex(
    "00000001000003e8000001f4000003e80000000a000000080000000700000003000000020000138800000078"
)
QUALITY = LinkQuality(
    sequence=1,
    period_ms=1000,
    nack_window_ms=500,
    source_received=1000,
    original_lost=10,
    retransmitted_received=8,
    recovered=7,
    unrecovered=3,
    late=2,
    data_kbps=5000,
    retransmission_kbps=120,
)


def test_the_eleven_words() -> None:
    assert LinkQuality.decode(GOLDEN) == QUALITY
    assert QUALITY.encode() == GOLDEN


def test_it_travels_behind_an_empty_receiver_report() -> None:
    encoded = QUALITY.to_report(0xCAFE).encode()
    assert encoded == bytes.fromhex("80c9000c 0000cafe") + GOLDEN
    assert LinkQuality.from_report(ReceiverReport.decode(encoded)) == QUALITY


def test_a_report_without_it_has_none() -> None:
    assert LinkQuality.from_report(ReceiverReport(1)) is None
    assert LinkQuality.from_report(ReceiverReport(1, extension=bytes(8))) is None


@given(st.binary(max_size=60).filter(lambda data: len(data) != LQM_SIZE))
def test_another_length_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedPacket):
        LinkQuality.decode(data)


@given(st.binary(min_size=LQM_SIZE, max_size=LQM_SIZE))
def test_every_message_survives_the_wire(data: bytes) -> None:
    assert LinkQuality.decode(memoryview(data)).encode() == data
