from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtp.header import RtpPacket
from terzetto.rtsp.transport_stream import TransportStreamPacketizer

TS = b"".join(b"\x47" + bytes([number]) * 187 for number in range(40))


async def packetize(pieces: Sequence[bytes]) -> list[RtpPacket]:
    batches: list[bytes] = []
    packetizer = TransportStreamPacketizer(batches.extend)
    for piece in pieces:
        packetizer.send(piece)
    return [RtpPacket.decode(packet) for packet in batches]


@given(st.lists(st.integers(0, len(TS)), max_size=8))
async def test_any_cut_of_the_stream_becomes_whole_ts_packets(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(TS)]
    packets = await packetize([TS[start:end] for start, end in pairwise(edges)])
    assert b"".join(bytes(packet.payload) for packet in packets) == TS
    for packet in packets:
        assert len(packet.payload) % 188 == 0
        assert len(packet.payload) <= 7 * 188
        assert packet.payload_type == 33
    first = packets[0].sequence
    assert [(packet.sequence - first) & 0xFFFF for packet in packets] == list(range(len(packets)))
