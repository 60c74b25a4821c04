from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtp.app import App
from terzetto.rtp.framing import RtcpPacket
from terzetto.rtp.receiver_report import ReceiverReport
from terzetto.rtp.rtcp import decode_compound, encode_compound
from terzetto.rtp.sdes import SourceDescription
from terzetto.rtp.sender_report import SenderReport
from tests.strategies import rtcp_packets

REPORT_AND_NAME = encode_compound([ReceiverReport(1), SourceDescription.of(1, "name")])


def test_packets_come_out_in_their_order() -> None:
    compound = decode_compound(REPORT_AND_NAME)
    assert compound.packets == (ReceiverReport(1), SourceDescription.of(1, "name"))
    assert compound.unknown == 0
    assert compound.fault is None


def test_gst_rtsp_server_sends_a_report_and_two_names() -> None:
    compound = decode_compound(
        bytes.fromhex(
            "80c800068ceca1adeeab6a0d0243ed95ba6d272d0000002d000003e081ca000c8ceca1ad011c757365723239303335323035"
            "333840686f73742d323836396234303606094753747265616d6572000000"
        )
    )
    report, description = compound.packets
    assert isinstance(report, SenderReport)
    assert (report.packet_count, report.octet_count) == (45, 992)
    assert isinstance(description, SourceDescription)
    assert description.cname == "user2903520538@host-2869b406"


def test_a_truncated_last_packet_spoils_none_before_it() -> None:
    whole = len(REPORT_AND_NAME)
    for cut in range(8, whole):
        compound = decode_compound(REPORT_AND_NAME[:cut])
        assert compound.packets == (ReceiverReport(1),)
        assert (compound.fault is None) == (cut == 8)


def test_types_nobody_knows_are_stepped_over_and_counted() -> None:
    strange = bytes.fromhex("80dc0002aaaaaaaabbbbbbbb") + bytes.fromhex("8fce0002000000010000 0002")
    compound = decode_compound(strange + REPORT_AND_NAME)
    assert len(compound.packets) == 2
    assert compound.unknown == 2


def test_feedback_other_than_the_generic_nack_is_unknown_not_broken() -> None:
    transport_wide = bytes.fromhex("8fcd0002 00000001 00000002")
    assert decode_compound(transport_wide)[1:] == (1, None)


def test_a_broken_packet_of_honest_length_spoils_only_itself() -> None:
    broken_report = bytes.fromhex("85c90001deadbeef")
    compound = decode_compound(broken_report + REPORT_AND_NAME)
    assert len(compound.packets) == 2
    assert compound.fault == "RTCP report blocks are truncated"


def test_a_compound_may_begin_with_anything() -> None:
    assert decode_compound(App(9, 1, b"test").encode()).packets == (App(9, 1, b"test"),)


def test_an_empty_datagram_says_nothing_and_is_at_fault() -> None:
    assert decode_compound(b"") == ((), 0, "RTCP header is truncated")


@given(st.lists(rtcp_packets, max_size=4))
def test_every_compound_survives_the_wire(packets: list[RtcpPacket]) -> None:
    if packets:
        assert decode_compound(encode_compound(packets)) == (tuple(packets), 0, None)


@given(st.binary(max_size=120))
def test_random_bytes_never_raise(data: bytes) -> None:
    compound = decode_compound(data)
    assert 4 * (len(compound.packets) + compound.unknown) <= len(data)


@given(st.lists(rtcp_packets, min_size=1, max_size=3), st.data())
def test_one_changed_byte_spoils_nothing_before_it(packets: list[RtcpPacket], data: st.DataObject) -> None:
    encoded = bytearray(encode_compound(packets))
    position = data.draw(st.integers(0, len(encoded) - 1))
    encoded[position] ^= data.draw(st.integers(1, 255))
    whole = [count for count in range(len(packets)) if len(encode_compound(packets[: count + 1])) <= position]
    assert decode_compound(bytes(encoded)).packets[: len(whole)] == tuple(packets[: len(whole)])
