"""Media on the wire."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rist.core.rtp_translation import media_from_rtp, rtp_from_media

FLOW = 0x1234_5678


def rtp(
    sequence: int = 7,
    *,
    ssrc: int = FLOW,
    payload: bytes = b"payload",
    first: int = 0x80,
    second: int = 33,
    middle: bytes = b"",
) -> bytes:
    head = bytes([first, second]) + sequence.to_bytes(2, "big") + bytes(4) + ssrc.to_bytes(4, "big")
    return head + middle + payload


@given(
    payloads=st.lists(st.binary(max_size=50), min_size=1, max_size=5),
    sequence=st.integers(0, 2**40),
    timestamp=st.integers(0, 0xFFFF_FFFF),
    ssrc=st.integers(0, 0xFFFF_FFFF),
    payload_type=st.sampled_from([0, 33, 96, 127]),
)
def test_what_is_written_is_read(
    payloads: list[bytes], sequence: int, timestamp: int, ssrc: int, payload_type: int
) -> None:
    datagrams = rtp_from_media(
        payloads, payload_type=payload_type, first_sequence=sequence, timestamp=timestamp, ssrc=ssrc
    )
    dropped: Counter[str] = Counter()
    [(flow_id, kind, packets)] = media_from_rtp(datagrams, dropped)
    assert (flow_id, kind) == (ssrc & ~1, payload_type)
    assert packets == [
        ((sequence + n) & 0xFFFF, timestamp, payload, ssrc & 1 == 1) for n, payload in enumerate(payloads)
    ]
    assert not dropped


def test_originals_and_repeats_belong_to_one_flow() -> None:
    [(flow_id, _, packets)] = media_from_rtp([rtp(7), rtp(5, ssrc=FLOW | 1), rtp(8)], Counter())
    assert flow_id == FLOW
    assert [(packet[0], packet[3]) for packet in packets] == [(7, False), (5, True), (8, False)]


def test_flows_are_told_apart_in_their_order() -> None:
    flows = media_from_rtp([rtp(1), rtp(2), rtp(9, ssrc=FLOW + 2), rtp(3)], Counter())
    assert [(flow_id, [packet[0] for packet in packets]) for flow_id, _, packets in flows] == [
        (FLOW, [1, 2]),
        (FLOW + 2, [9]),
        (FLOW, [3]),
    ]


@pytest.mark.parametrize(
    "datagram",
    [
        pytest.param(rtp(first=0x82, middle=bytes(8)), id="two CSRC"),
        pytest.param(rtp(first=0xA0, payload=b"payload" + b"\0\0\3"), id="padding"),
        pytest.param(rtp(first=0x90, middle=b"RI\0\1abcd"), id="extension"),
        pytest.param(rtp(first=0xB1, middle=bytes(4) + b"RI\0\0", payload=b"payload\1"), id="all of these"),
        pytest.param(rtp(second=33 | 0x80), id="marker"),
    ],
)
def test_csrc_extension_and_padding_are_no_payload(datagram: bytes) -> None:
    [(_, _, [(_, _, payload, _)])] = media_from_rtp([datagram], Counter())
    assert payload == b"payload"


@pytest.mark.parametrize(
    ("datagram", "reason"),
    [
        (b"", "empty datagram"),
        (rtp()[:11], "RTP header is truncated"),
        (b"\x47" + bytes(187), "plain MPEG-TS, not RIST"),
        (bytes.fromhex("000088b6800107b0") + bytes(40), "RIST Main profile (GRE)"),
        (b"\x80\0\0\0" + bytes(15) + b"\4" + bytes(44), "SRT handshake"),
        (rtp(first=0x8F), "RTP"),
        (rtp(first=0xA0, payload=b"\xff"), "RTP"),
        (rtp(first=0x90, middle=b"RI\xff\xff"), "RTP"),
        (rtp(first=0x00), "RTP"),
    ],
)
def test_what_is_no_media_is_dropped_and_named(datagram: bytes, reason: str) -> None:
    dropped: Counter[str] = Counter()
    assert media_from_rtp([datagram], dropped) == []
    [(named, count)] = dropped.items()
    assert named.startswith(reason)
    assert count == 1


@pytest.mark.parametrize("kind", [200, 201, 204, 205, 207])
def test_a_report_on_the_media_port_does_not_look_like_another_flow(kind: int) -> None:
    dropped: Counter[str] = Counter()
    report = bytes([0x80, kind, 0, 6]) + bytes(range(24))
    [(flow_id, _, packets)] = media_from_rtp([rtp(1), report, rtp(2)], dropped)
    assert (flow_id, len(packets)) == (FLOW, 2)
    assert dropped == {"RTCP on the media port": 1}


@given(datagrams=st.lists(st.binary(max_size=100), max_size=10))
def test_any_bytes_become_media_or_a_counted_drop(datagrams: list[bytes]) -> None:
    dropped: Counter[str] = Counter()
    flows = media_from_rtp(datagrams, dropped)
    assert sum(len(packets) for _, _, packets in flows) + dropped.total() == len(datagrams)


@given(cut=st.integers(0, 30))
def test_views_into_a_larger_buffer_are_copied_out(cut: int) -> None:
    buffer = bytearray(rtp(payload=b"keep" * 10))
    [(_, _, [(_, _, payload, _)])] = media_from_rtp([memoryview(buffer)], Counter())
    buffer[cut:] = bytes(len(buffer) - cut)
    assert payload == b"keep" * 10
