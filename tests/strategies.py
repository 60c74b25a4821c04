"""Values of the wire formats, for Hypothesis to choose."""

from __future__ import annotations

from hypothesis import strategies as st

from terzetto.rtp.app import App
from terzetto.rtp.bye import Bye
from terzetto.rtp.extended_report import (
    DelaySinceLastReceiverReport,
    ExtendedReport,
    ReceiverDelay,
    ReceiverReferenceTime,
    UnknownBlock,
)
from terzetto.rtp.feedback import GenericNack, NackMask
from terzetto.rtp.framing import RtcpPacket
from terzetto.rtp.receiver_report import ReceiverReport
from terzetto.rtp.sdes import SdesChunk, SdesItem, SourceDescription
from terzetto.rtp.sender_report import ReportBlock, SenderReport

u7 = st.integers(0, 0x7F)
u8 = st.integers(0, 0xFF)
u16 = st.integers(0, 0xFFFF)
u32 = st.integers(0, 0xFFFF_FFFF)
u64 = st.integers(0, 0xFFFF_FFFF_FFFF_FFFF)


def words(limit: int = 4) -> st.SearchStrategy[bytes]:
    """Bytes in whole 32-bit words."""
    return st.integers(0, limit).flatmap(lambda count: st.binary(min_size=4 * count, max_size=4 * count))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
blocks = st.lists(
    st.builds(
        ReportBlock,
        ssrc=u32,
        fraction_lost=u8,
        cumulative_lost=st.integers(-(1 << 23), (1 << 23) - 1),
        extended_highest_sequence=u32,
        jitter=u32,
        last_sr=u32,
        delay_since_last_sr=u32,
    ),
    max_size=31,
).map(tuple)
sender_reports = st.builds(
    SenderReport,
    ssrc=u32,
    ntp=u64,
    rtp_timestamp=u32,
    packet_count=u32,
    octet_count=u32,
    blocks=blocks,
    extension=words(),
)
receiver_reports = st.builds(ReceiverReport, u32, blocks, words())
sdes_items = st.lists(st.builds(SdesItem, st.integers(1, 255), texts), max_size=4).map(tuple)
source_descriptions = st.builds(
    SourceDescription, st.lists(st.builds(SdesChunk, u32, sdes_items), max_size=5).map(tuple)
)
byes = st.builds(Bye, st.lists(u32, max_size=31).map(tuple), texts)
apps = st.builds(App, st.integers(0, 31), u32, st.binary(min_size=4, max_size=4), words())
generic_nacks = st.builds(
    GenericNack, u32, u32, st.lists(st.builds(NackMask, u16, u16), max_size=20).map(tuple)
)
xr_blocks = st.one_of(
    st.builds(ReceiverReferenceTime, u64),
    st.builds(
        DelaySinceLastReceiverReport, st.lists(st.builds(ReceiverDelay, u32, u32, u32), max_size=3).map(tuple)
    ),
    st.builds(UnknownBlock, u8.filter(lambda kind: kind not in (4, 5)), u8, words()),
)
extended_reports = st.builds(ExtendedReport, u32, st.lists(xr_blocks, max_size=4).map(tuple))

rtcp_packets: st.SearchStrategy[RtcpPacket] = st.one_of(
    sender_reports, receiver_reports, source_descriptions, byes, apps, generic_nacks, extended_reports
)
