"""The messages of RIST in RTCP: golden bytes, round trips and strangers' bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.echo import EchoRequest, EchoResponse
from terzetto.rist.wire.extseq import ExtendedSequence
from terzetto.rist.wire.message import RistMessage
from terzetto.rist.wire.range_nack import NackRange, RangeNack
from terzetto.rtp.app import App
from tests.strategies import u16, u32, u64, words

NTP = 0xE3D15C00_80000000

GOLDEN: dict[str, tuple[str, RistMessage]] = {
    "range NACK 100; 200-204": (
        "80cc0004 0000cafe 52495354 00640000 00c80004",
        RangeNack(0xCAFE, (NackRange(100), NackRange(200, 4))),
    ),
    "range NACK of TR-06-1, 100 and 103-122": (
        "80cc0004 aabbcc00 52495354 00640000 00670013",
        RangeNack(0xAABBCC00, (NackRange(100), NackRange(103, 19))),
    ),
    "range NACK of libRIST 0.2.7": (
        "80cc000340d93ec45249535400050000",
        RangeNack(0x40D93EC4, (NackRange(5),)),
    ),
    "range NACK of libRIST 0.2.12": (
        "80cc00039189b1785249535400090003",
        RangeNack(0x9189B178, (NackRange(9, 3),)),
    ),
    "EXTSEQ": ("81cc0003 cafebabe 52495354 01020000", ExtendedSequence(0xCAFEBABE, 0x0102)),
    "echo request": ("82cc0005 0000beef 52495354 e3d15c00 80000000 00000000", EchoRequest(0xBEEF, NTP)),
    "echo request with padding": (
        "82cc0006 0000beef 52495354 e3d15c0080000000 00000000 aabbccdd",
        EchoRequest(0xBEEF, NTP, bytes.fromhex("aabbccdd")),
    ),
    "echo response after 1500 us": (
        "83cc0005 0000beef 52495354 e3d15c0080000000 000005dc",
        EchoResponse(0xBEEF, NTP, 1500),
    ),
}

messages: st.SearchStrategy[RistMessage] = st.one_of(
    st.builds(RangeNack, u32, st.lists(st.builds(NackRange, u16, u16), max_size=20).map(tuple)),
    st.builds(ExtendedSequence, u32, u16),
    st.builds(EchoRequest, u32, u64, words()),
    st.builds(EchoResponse, u32, u64, u32, words()),
)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_bytes_and_values_are_the_same_thing(name: str) -> None:
    encoded, value = GOLDEN[name]
    assert type(value).decode(bytes.fromhex(encoded)) == value
    assert value.encode() == bytes.fromhex(encoded)


def test_the_delay_of_a_request_is_not_read() -> None:
    stale = bytes.fromhex("82cc0005920efe9b5249535483aa82d402f2bdc882cc0005")
    assert EchoRequest.decode(stale) == EchoRequest(0x920EFE9B, 0x83AA82D4_02F2BDC8)


def test_a_response_echoes_ssrc_time_stamp_and_padding_and_is_no_longer_than_the_request() -> None:
    request = EchoRequest(0xBEEF, NTP, bytes.fromhex("aabbccdd"))
    response = request.response(1500)
    assert response == EchoResponse(0xBEEF, NTP, 1500, bytes.fromhex("aabbccdd"))
    assert len(response.encode()) == len(request.encode())


@pytest.mark.parametrize(("delay", "sent"), [(-1, 0), (1 << 40, 0xFFFFFFFF)])
def test_a_delay_that_no_field_can_hold_becomes_the_nearest(delay: int, sent: int) -> None:
    assert EchoRequest(1, 2).response(delay).delay == sent


@given(messages)
def test_every_message_survives_the_wire(message: RistMessage) -> None:
    assert type(message).decode(message.encode()) == message


@given(messages)
def test_every_prefix_of_a_message_is_malformed(message: RistMessage) -> None:
    encoded = message.encode()
    for size in range(len(encoded)):
        with pytest.raises(MalformedPacket):
            type(message).decode(encoded[:size])


@pytest.mark.parametrize("kind", [RangeNack, ExtendedSequence, EchoRequest, EchoResponse])
@pytest.mark.parametrize("app", [App(9, 1, b"RIST", bytes(12)), App(0, 1, b"TEST", bytes(12))])
def test_an_app_packet_of_somebody_else_is_refused(kind: type[RistMessage], app: App) -> None:
    with pytest.raises(MalformedPacket, match="another message"):
        kind.decode(app.encode())


@pytest.mark.parametrize(
    ("kind", "size"), [(RangeNack, 6), (ExtendedSequence, 0), (EchoRequest, 8), (EchoResponse, 11)]
)
def test_data_that_is_too_short_is_malformed(kind: type[RistMessage], size: int) -> None:
    with pytest.raises(MalformedPacket, match="truncated"):
        kind.from_data(1, bytes(size))


@given(
    st.sampled_from([RangeNack, ExtendedSequence, EchoRequest, EchoResponse]),
    st.booleans(),
    st.binary(max_size=60),
)
def test_a_strangers_bytes_are_understood_or_malformed(
    kind: type[RistMessage], dressed: bool, data: bytes
) -> None:
    if dressed:
        data += bytes(-len(data) % 4)
        data = App(kind.subtype, 1, b"RIST", data).encode()
    try:
        message = kind.decode(data)
    except MalformedPacket:
        return
    assert kind.decode(message.encode()) == message
