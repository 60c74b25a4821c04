"""Feedback on the wire."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rist.core import vocabulary as say
from terzetto.rist.core.rtcp_translation import compound_from_feedback, feedback_from_compound
from terzetto.rist.options import NackType

SSRC = 0x1234_5678


def heard(data: bytes) -> list[say.Feedback]:
    dropped: Counter[str] = Counter()
    said = feedback_from_compound(data, dropped)
    assert not dropped
    return said


@pytest.mark.parametrize(
    "thing",
    [
        say.SourceReport(SSRC, 0x83AA_7E80_4000_0000, 86400, 256, 8192),
        say.ReceptionReport(SSRC),
        say.ReceptionReport(SSRC, SSRC, 16, 258, 65539, 32, 0x7E80_4000, 65536),
        say.Description(SSRC, "a name"),
        say.EchoRequest(SSRC, 0xE3D1_5C00_8000_0000),
        say.EchoRequest(SSRC, 1, b"pads"),
        say.EchoResponse(SSRC, 0xFFFF_FFFF_FFFF_FFFF, 1500),
        say.ReceiverTime(SSRC, 0x83AA_82D3_E8A4_9970),
        say.ReceiverTimeAnswer(SSRC, 99, 0x7E80_4000, 65536),
        say.RepeatRequest(SSRC, [5, 9, 10, 11, 65535, 0]),
        say.RepeatRequest(SSRC, [0x1_0005, 0x1_FFFF], 32),
        say.Goodbye(SSRC),
    ],
)
@pytest.mark.parametrize("nack_type", ["range", "bitmask"])
def test_what_is_said_is_heard(thing: say.Feedback, nack_type: NackType) -> None:
    # A compound begins with a report.
    data = compound_from_feedback([say.ReceptionReport(1), thing], nack_type=nack_type)
    assert heard(data)[1:] == [thing]


@pytest.mark.parametrize("nack_type", ["range", "bitmask"])
@given(sequences=st.sets(st.integers(0, 0xFFFF), min_size=1, max_size=200))
def test_requests_survive_in_either_form(nack_type: NackType, sequences: set[int]) -> None:
    data = compound_from_feedback([say.RepeatRequest(SSRC, sorted(sequences))], nack_type=nack_type)
    asked = [sequence for request in heard(data) for sequence in request.sequences]  # type: ignore[union-attr]
    assert asked == sorted(sequences)


@pytest.mark.parametrize("nack_type", ["range", "bitmask"])
@given(sequences=st.sets(st.integers(0, 0xFFFF_FFFF), min_size=1, max_size=100))
def test_extended_requests_survive_in_either_form(nack_type: NackType, sequences: set[int]) -> None:
    data = compound_from_feedback([say.RepeatRequest(SSRC, sorted(sequences), 32)], nack_type=nack_type)
    requests = [said for said in heard(data) if isinstance(said, say.RepeatRequest)]
    assert {request.sequence_bits for request in requests} == {32}
    assert [sequence for request in requests for sequence in request.sequences] == sorted(sequences)


def test_the_upper_half_goes_before_the_request() -> None:
    data = compound_from_feedback([say.RepeatRequest(0xCAFE, [0x0102_0064], 32)], nack_type="range")
    assert data == bytes.fromhex("81cc00030000cafe5249535401020000 80cc00030000cafe5249535400640000")


def test_a_range_may_run_on_into_the_next_upper_half() -> None:
    data = bytes.fromhex("81cc00030000cafe5249535400010000 80cc00030000cafe52495354fffe0002")
    assert heard(data) == [say.RepeatRequest(0xCAFE, [0x1_FFFE, 0x1_FFFF, 0x2_0000], 32)]


# Packets of libRIST 0.2.7, as captured.
LIBRIST_RECEIVER = bytes.fromhex(
    "81c900076b848f70000000000000000000000000000000000000000082f439f7"
    "81ca00046b848f70010672786e616d6500000000"
    "80cf0004bd18da990400000283aa82f439f778f2"
    "82cc0005bd18da995249535483aa82f439f7797700000000"
)
LIBRIST_GARBAGE = bytes.fromhex(
    "81c900071c61921481ca00040000000000000000000000006a606a43000018df"
    "81ca00041c619214010672786e616d6500000000"
    "82cc0005920efe9b5249535483aa82d402f2bdc882cc0005"
)


def test_librists_receiver_is_understood() -> None:
    report, name, time, echo = heard(LIBRIST_RECEIVER)
    assert isinstance(report, say.ReceptionReport)
    assert name == say.Description(0x6B84_8F70, "rxname")
    assert time == say.ReceiverTime(0xBD18_DA99, 0x83AA_82F4_39F7_78F2)
    assert echo == say.EchoRequest(0xBD18_DA99, 0x83AA_82F4_39F7_7977)


def test_librists_stale_memory_is_tolerated() -> None:
    report, _, echo = heard(LIBRIST_GARBAGE)
    assert isinstance(report, say.ReceptionReport)
    assert (report.last_report, report.since_last_report) == (0x6A60_6A43, 0x18DF)
    assert echo == say.EchoRequest(0x920E_FE9B, 0x83AA_82D4_02F2_BDC8)


def test_librists_odd_type_for_extended_reports_is_understood() -> None:
    report = bytes.fromhex("80c9000112345678")
    extended = bytes.fromhex("804d0004f77648b10400000283aa8485166304b6")
    assert heard(report + extended)[1] == say.ReceiverTime(0xF776_48B1, 0x83AA_8485_1663_04B6)


def test_an_echo_is_never_longer_than_a_packet() -> None:
    data = compound_from_feedback([say.EchoRequest(SSRC, 1, bytes(8000))], nack_type="range")
    [request] = heard(data)
    assert isinstance(request, say.EchoRequest)
    assert len(request.padding) == 1400


def test_a_request_for_everything_is_cut_short_and_counted() -> None:
    everything = bytes.fromhex("80cc0006 12345678 52495354".replace(" ", "")) + bytes.fromhex("0000ffff") * 4
    dropped: Counter[str] = Counter()
    [request] = feedback_from_compound(everything, dropped)
    assert isinstance(request, say.RepeatRequest)
    assert len(request.sequences) == 16_384
    assert dropped == {"request for too many packets, cut short": 1}


def test_what_comes_before_nonsense_still_counts() -> None:
    dropped: Counter[str] = Counter()
    said = feedback_from_compound(LIBRIST_RECEIVER[:52] + b"\x80\xcf\xff\xff", dropped)
    assert [type(each) for each in said] == [say.ReceptionReport, say.Description]
    assert dropped.total() == 1


@given(data=st.binary(max_size=300))
def test_any_bytes_are_heard_without_an_exception(data: bytes) -> None:
    feedback_from_compound(data, Counter())


@given(spoilt=st.integers(0, len(LIBRIST_RECEIVER) * 8 - 1), length=st.integers(0, len(LIBRIST_RECEIVER)))
def test_spoilt_and_cut_reports_are_heard_without_an_exception(spoilt: int, length: int) -> None:
    data = bytearray(LIBRIST_RECEIVER)
    data[spoilt // 8] ^= 1 << spoilt % 8
    feedback_from_compound(bytes(data[:length]), Counter())
