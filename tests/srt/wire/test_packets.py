"""Data headers, control headers, reports: captured packets, round trips, strangers' bytes."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.srt.wire.ack import Acknowledgement
from terzetto.srt.wire.control import ControlHeader, ControlType, encode_control
from terzetto.srt.wire.data import BOUNDARY_SOLO, DataHeader
from terzetto.srt.wire.drop_request import DropRequest
from terzetto.srt.wire.nak import decode_losses, encode_losses
from tests.srt.strategies import sequences, words
from tests.srt.vectors import VECTORS


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clear first data packet", DataHeader(0x2789731D, 1, 0x0017267D, 0x3BBA6FB8)),
        ("aes128 data packet 0", DataHeader(0x61DD8E95, 1, 0x002F1298, 0x1B533FAC, key=1)),
        (
            "refresh 41st data packet first with the odd key",
            DataHeader(0x7C555F24, 0x29, 0x001E3314, 0x17C5F117, key=2),
        ),
        ("loss original data 5 lost", DataHeader(0x0AF5C060, 6, 0x001DC860, 0x060A634F)),
        (
            "loss its retransmission",
            DataHeader(0x0AF5C060, 6, 0x001DC860, 0x060A634F, is_retransmission=True),
        ),
        (
            "loss three part message",
            DataHeader(
                0x6B7334CD, 4, 0x0004A899, 0x2926F6BC, boundary=2, in_order=True, is_retransmission=True
            ),
        ),
        ("fec row fec after data 2", DataHeader(0x06888DD3, 0, 0x001ADC10, 0x0813A063)),
    ],
)
def test_captured_data_headers_are_read_and_written_alike(name: str, expected: DataHeader) -> None:
    packet = VECTORS[name]
    assert DataHeader.decode(packet) == expected
    assert expected.encode() == packet[:16]


@given(
    st.builds(
        DataHeader,
        sequences,
        st.integers(0, 0x3FFFFFF),
        words,
        words,
        st.integers(0, BOUNDARY_SOLO),
        st.booleans(),
        st.integers(0, 3),
        st.booleans(),
    )
)
def test_data_headers_survive_a_round_trip(header: DataHeader) -> None:
    assert DataHeader.decode(header.encode() + b"payload") == header


@pytest.mark.parametrize(
    ("name", "kind", "information", "destination"),
    [
        ("clear keepalive", ControlType.KEEPALIVE, 0, 0x3BBA6FB8),
        ("file shutdown", ControlType.SHUTDOWN, 0, 0x23B245D7),
        ("loss ackack 1", ControlType.ACKACK, 1, 0x060A634F),
    ],
)
def test_captured_bare_control_packets_are_read_and_written_alike(
    name: str, kind: ControlType, information: int, destination: int
) -> None:
    packet = VECTORS[name]
    header = ControlHeader.decode(packet)
    assert header[:3] == (kind, 0, information)
    assert header.destination == destination
    encoded = encode_control(
        kind, timestamp=header.timestamp, destination=destination, information=information
    )
    assert encoded == packet


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("loss full ack 1", Acknowledgement(0x0AF5C065, 100_000, 50_000, 8181, 0, 1000, 0)),
        ("loss full ack 2", Acknowledgement(0x0AF5C06F, 3977, 1988, 8181, 0x1CF0, 1000, 0xC3061)),
        ("loss small ack", Acknowledgement(0x6B7334CC, 175, 87, 8190)),
    ],
)
def test_captured_acknowledgements_are_read_and_written_alike(name: str, expected: Acknowledgement) -> None:
    body = VECTORS[name][16:]
    assert Acknowledgement.decode(body) == expected
    assert expected.encode() == body


def test_a_light_acknowledgement_has_no_figures_rather_than_zeros() -> None:
    light = Acknowledgement.decode(bytes.fromhex("0af5c06f"))
    assert light == Acknowledgement(0x0AF5C06F)
    assert light.round_trip is None
    assert light.encode() == bytes.fromhex("0af5c06f")


def test_an_absurd_round_trip_time_is_ignored_and_the_rest_kept() -> None:
    body = Acknowledgement(7, 31_000_000, 5, 100).encode()
    assert Acknowledgement.decode(body) == Acknowledgement(7, None, None, 100)


@pytest.mark.parametrize(
    ("name", "losses"),
    [
        ("loss nak single 0af5c060", [(0x0AF5C060, 0x0AF5C060)]),
        ("loss nak range 0af5c065 0af5c067", [(0x0AF5C065, 0x0AF5C067)]),
    ],
)
def test_captured_loss_reports_are_read_and_written_alike(name: str, losses: list[tuple[int, int]]) -> None:
    body = VECTORS[name][16:]
    assert decode_losses(body) == losses
    assert encode_losses(losses, most_words=364) == body


@given(st.lists(st.tuples(sequences, st.integers(0, 1000)), max_size=50))
def test_loss_reports_survive_a_round_trip_across_the_wrap(pairs: list[tuple[int, int]]) -> None:
    losses = [(first, (first + length) & 0x7FFFFFFF) for first, length in pairs]
    body = encode_losses(losses, most_words=364)
    if losses:
        assert decode_losses(body) == losses


def test_a_loss_report_stops_before_it_would_outgrow_a_packet() -> None:
    losses = [(10 * i, 10 * i + 3) for i in range(200)]
    body = encode_losses(losses, most_words=363)
    assert decode_losses(body) == losses[:181]


@pytest.mark.parametrize("digits", ["", "80000001", "8000000580000006", "80000005000000", "8000000500000004"])
def test_a_malformed_loss_report_is_refused(digits: str) -> None:
    with pytest.raises(MalformedPacket):
        decode_losses(bytes.fromhex(digits))


def test_a_captured_drop_request_is_read_and_written_alike() -> None:
    packet = VECTORS["loss dropreq message 4"]
    assert ControlHeader.decode(packet)[:3] == (ControlType.DROPREQ, 0, 4)
    request = DropRequest.decode(packet[16:])
    assert request == DropRequest(0x6B7334CE, 0x6B7334CF)
    assert request.encode() == packet[16:]


@pytest.mark.parametrize("digits", ["", "00000001", "0000000500000004", "8000000500000006"])
def test_a_malformed_drop_request_is_refused(digits: str) -> None:
    with pytest.raises(MalformedPacket):
        DropRequest.decode(bytes.fromhex(digits))


@given(st.binary(max_size=80))
def test_decoders_fail_in_the_one_documented_way(data: bytes) -> None:
    for decode in (
        DataHeader.decode,
        ControlHeader.decode,
        Acknowledgement.decode,
        decode_losses,
        DropRequest.decode,
    ):
        with contextlib.suppress(MalformedPacket):
            decode(data)
