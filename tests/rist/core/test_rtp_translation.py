"""Media on the wire."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.mpegts.packet import null_packet
from terzetto.rist.core.rtp_translation import extended_rtp_from_media, media_from_rtp, rtp_from_media

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
    [(flow_id, kind, bits, packets)] = media_from_rtp(datagrams, dropped)
    assert (flow_id, kind, bits) == (ssrc & ~1, payload_type, 16)
    assert packets == [
        ((sequence + n) & 0xFFFF, timestamp, payload, ssrc & 1 == 1) for n, payload in enumerate(payloads)
    ]
    assert not dropped


def test_originals_and_repeats_belong_to_one_flow() -> None:
    [(flow_id, _, _, packets)] = media_from_rtp([rtp(7), rtp(5, ssrc=FLOW | 1), rtp(8)], Counter())
    assert flow_id == FLOW
    assert [(packet[0], packet[3]) for packet in packets] == [(7, False), (5, True), (8, False)]


def test_flows_are_told_apart_in_their_order() -> None:
    flows = media_from_rtp([rtp(1), rtp(2), rtp(9, ssrc=FLOW + 2), rtp(3)], Counter())
    assert [(flow_id, [packet[0] for packet in packets]) for flow_id, _, _, packets in flows] == [
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
    [(_, _, _, [(_, _, payload, _)])] = media_from_rtp([datagram], Counter())
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
    [(flow_id, _, _, packets)] = media_from_rtp([rtp(1), report, rtp(2)], dropped)
    assert (flow_id, len(packets)) == (FLOW, 2)
    assert dropped == {"RTCP on the media port": 1}


@given(datagrams=st.lists(st.binary(max_size=100), max_size=10))
def test_any_bytes_become_media_or_a_counted_drop(datagrams: list[bytes]) -> None:
    dropped: Counter[str] = Counter()
    flows = media_from_rtp(datagrams, dropped)
    assert sum(len(packets) for _, _, _, packets in flows) + dropped.total() == len(datagrams)


@given(cut=st.integers(0, 30))
def test_views_into_a_larger_buffer_are_copied_out(cut: int) -> None:
    buffer = bytearray(rtp(payload=b"keep" * 10))
    [(_, _, _, [(_, _, payload, _)])] = media_from_rtp([memoryview(buffer)], Counter())
    buffer[cut:] = bytes(len(buffer) - cut)
    assert payload == b"keep" * 10


@given(
    payloads=st.lists(st.binary(max_size=50), min_size=1, max_size=5),
    sequence=st.integers(0, 2**40),
    delete_nulls=st.booleans(),
)
def test_extended_sequences_are_read_as_they_were_written(
    payloads: list[bytes], sequence: int, delete_nulls: bool
) -> None:
    payloads.append(null_packet() * 3)
    datagrams = extended_rtp_from_media(
        payloads,
        payload_type=33,
        first_sequence=sequence,
        timestamp=9,
        ssrc=FLOW,
        delete_nulls=delete_nulls,
        extend_sequence=True,
    )
    [(_, _, bits, packets)] = media_from_rtp(datagrams, Counter())
    assert bits == 32
    assert packets == [
        ((sequence + n) & 0xFFFF_FFFF, 9, payload, False) for n, payload in enumerate(payloads)
    ]


def test_gstreamers_extension_is_read() -> None:
    """Its sink says the count of TS packets even where it deletes none."""
    payload = b"\x47" + bytes(187)
    extension = bytes.fromhex("52490001 f8000003")
    [(_, _, bits, packets)] = media_from_rtp(
        [rtp(7, first=0x90, middle=extension, payload=7 * payload)], Counter()
    )
    assert (bits, packets[0][0]) == (32, 0x3_0007)
    assert packets[0][2] == 7 * payload


def test_packets_with_the_extension_and_without_are_told_apart() -> None:
    extension = bytes.fromhex("52490001 40000001")
    datagrams = [rtp(7), rtp(8, first=0x90, middle=extension), rtp(9, first=0x90, middle=extension), rtp(10)]
    flows = media_from_rtp(datagrams, Counter())
    assert [(bits, [packet[0] for packet in packets]) for _, _, bits, packets in flows] == [
        (16, [7]),
        (32, [0x1_0008, 0x1_0009]),
        (16, [10]),
    ]
