from __future__ import annotations

import pytest

from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core.fec_sender import FecSender
from terzetto.rist.core.profile import FEC_COLUMN, FEC_ROW
from terzetto.rist.fec import RistFec
from terzetto.rist.wire.fec_2022_1 import decode_fec
from terzetto.rtp.header import RtpPacket

PAYLOADS = [bytes([number]) * (number + 1) for number in range(100)]


def feed_one_by_one(sender: FecSender, count: int, first: int = 0) -> list[tuple[int, int, RtpPacket]]:
    """After which packet, by which path, what."""
    leaving = []
    for number in range(count):
        for path, datagrams in sender.feed([PAYLOADS[number]], first=first + number, timestamp=90 * number):
            leaving += [(number, path, RtpPacket.decode(datagram)) for datagram in datagrams]
    return leaving


def test_parities_of_even_columns_are_spread_over_the_next_matrix() -> None:
    leaving = feed_one_by_one(FecSender(RistFec(columns=4, rows=4), payload_type=33), 32)
    assert [after for after, path, _ in leaving if path == FEC_ROW] == [3, 7, 11, 15, 19, 23, 27, 31]
    columns = [after for after, path, _ in leaving if path == FEC_COLUMN]
    assert columns == [13, 17, 21, 25, 29]


def test_parities_of_a_staircase_leave_at_once() -> None:
    sender = FecSender(RistFec(columns=4, rows=4, layout="staircase"), payload_type=33)
    columns = [(after, packet) for after, path, packet in feed_one_by_one(sender, 40) if path == FEC_COLUMN]
    for after, packet in columns:
        fec = decode_fec(packet.payload)
        assert fec.base + 3 * fec.offset == after


def test_each_kind_counts_its_packets_by_itself_and_belongs_to_no_flow() -> None:
    leaving = feed_one_by_one(FecSender(RistFec(columns=5, rows=5), payload_type=33), 75)
    for path in (FEC_COLUMN, FEC_ROW):
        packets = [packet for _, each, packet in leaving if each == path]
        assert [packet.sequence for packet in packets] == list(range(len(packets)))
        assert {(packet.ssrc, packet.payload_type) for packet in packets} == {(0, 96)}


def test_a_batch_gives_what_single_packets_give() -> None:
    single = feed_one_by_one(FecSender(RistFec(columns=5, rows=4), payload_type=33), 60, first=0xFFF0)
    sender = FecSender(RistFec(columns=5, rows=4), payload_type=33)
    batched: dict[int, list[Buffer]] = {FEC_COLUMN: [], FEC_ROW: []}
    for path, datagrams in sender.feed(PAYLOADS[:60], first=0xFFF0, timestamp=0):
        batched[path] += datagrams
    for path in (FEC_COLUMN, FEC_ROW):
        bases = [decode_fec(RtpPacket.decode(each).payload)[:3] for each in batched[path]]
        assert bases == [decode_fec(packet.payload)[:3] for _, each, packet in single if each == path]
    assert sender.sent == len(single)


@pytest.mark.parametrize(("rows", "paths"), [(1, {FEC_ROW}), (-5, {FEC_COLUMN}), (5, {FEC_ROW, FEC_COLUMN})])
def test_only_the_lines_that_were_asked_for_get_parities(rows: int, paths: set[int]) -> None:
    leaving = feed_one_by_one(FecSender(RistFec(columns=6, rows=rows), payload_type=33), 90)
    assert {path for _, path, _ in leaving} == paths
