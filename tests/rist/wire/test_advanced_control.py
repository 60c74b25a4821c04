from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.advanced_control import (
    ControlIndex,
    Echo,
    FutureNonce,
    Unsupported,
    decode_control,
    decode_keepalive,
    decode_text,
    encode_control,
    encode_keepalive,
    encode_text,
    is_vendors,
)
from terzetto.rist.wire.advanced_nack import AdvancedNack, nacks_for
from terzetto.rist.wire.keepalive import Capability, Keepalive
from tests.strategies import u32

MAC = bytes(range(1, 7))
EVERYTHING = Capability.ADVANCED | Capability.ADVANCED_COMPRESSION | Capability.ADVANCED_FRAGMENTATION

# Index, value, encoder and bytes: some from the specification's boxes, some as libRIST and ristgo send them.
GOLDEN: dict[str, tuple[int, bytes, str]] = {
    "request by mask": (
        ControlIndex.NACK_BITMASK,
        AdvancedNack(0, 0x11223344, ((100, 5),)).encode(),
        "0000000c 11223344 00000064 00000005",
    ),
    "request by range": (
        ControlIndex.NACK_RANGE,
        AdvancedNack(1, 0x11223344, ((0x10002, 5),)).encode(),
        "0001000c 11223344 00010002 00000005",
    ),
    "echo request": (
        ControlIndex.ECHO_REQUEST,
        Echo(0xAABBCCDD, 0x1122334455667788).encode(),
        "00100010 aabbccdd 1122334455667788 00000000",
    ),
    "echo response": (
        ControlIndex.ECHO_RESPONSE,
        Echo(0xAABBCCDD, 0x1122334455667788, 400).encode(),
        "00110010 aabbccdd 1122334455667788 00000190",
    ),
    "keepalive": (
        ControlIndex.KEEPALIVE,
        encode_keepalive(Keepalive(MAC, EVERYTHING)),
        "80000008 010203040506 0007",
    ),
    "keepalive with JSON": (
        ControlIndex.KEEPALIVE,
        encode_keepalive(Keepalive(MAC, Capability.ADVANCED, b"{}")),
        "8000000b 010203040506 0001 7b7d00",
    ),
    "libRIST's keepalive": (
        ControlIndex.KEEPALIVE,
        encode_keepalive(Keepalive(MAC, Capability.ADVANCED, has_word=True)),
        "8000000a 010203040506 80000000",
    ),
    "flow attribute": (ControlIndex.FLOW_ATTRIBUTE, encode_text("{}"), "80010003 7b7d00"),
    "future nonce": (
        ControlIndex.FUTURE_NONCE,
        FutureNonce(b"\xaa\xbb\xcc\xdd").encode(),
        "80110004 aabbccdd",
    ),
    "libRIST's future nonce": (
        ControlIndex.FUTURE_NONCE,
        FutureNonce(b"\xaa\xbb\xcc\xdd", 256).encode(),
        "80110008 aabbccdd 0100 0000",
    ),
    "unsupported": (
        ControlIndex.UNSUPPORTED,
        Unsupported(0x11223345, 0x1234, b"abcdef").encode(),
        "8020000c 11223345 1234 616263646566",
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_messages_are_as_the_specification_draws_them(name: str) -> None:
    index, body, text = GOLDEN[name]
    assert encode_control(index, body) == bytes.fromhex(text)
    assert decode_control(bytes.fromhex(text)) == (index, body)


def test_both_forms_of_a_keepalive_say_the_same() -> None:
    for has_word in (False, True):
        keepalive = decode_keepalive(encode_keepalive(Keepalive(MAC, EVERYTHING, has_word=has_word)))
        assert keepalive.mac == MAC
        assert keepalive.capabilities == EVERYTHING
        assert keepalive.has_word is has_word
    document = decode_keepalive(encode_keepalive(Keepalive(MAC, EVERYTHING, b'{"a":1}')))
    assert document.json == b'{"a":1}'


def test_texts_are_read_with_and_without_their_zero() -> None:
    assert decode_text(b'{"a": 1}\0') == decode_text(b'{"a": 1}') == '{"a": 1}'


def test_what_follows_a_message_is_passed_over() -> None:
    # libRIST says twelve bytes and sends sixteen.
    body = bytes.fromhex("11223345 1234 616263646566")
    data = bytes.fromhex("8020000c") + body + bytes(4)
    assert Unsupported.decode(decode_control(data)[1]) == Unsupported(0x11223345, 0x1234, b"abcdef")


@pytest.mark.parametrize("as_bitmask", [False, True])
@given(sequences=st.sets(st.integers(0, 4000), min_size=1, max_size=300), base=u32)
def test_requests_ask_for_exactly_what_is_missing(as_bitmask: bool, sequences: set[int], base: int) -> None:
    wanted = [(base + each) & 0xFFFF_FFFF for each in sorted(sequences)]
    asked: list[int] = []
    for nack in nacks_for(7, wanted, as_bitmask=as_bitmask):
        decoded = AdvancedNack.decode(nack.kind, nack.encode())
        assert decoded == nack
        asked += decoded.expand().sequences
    assert asked == wanted


def test_a_request_for_four_thousand_million_packets_is_cut_short() -> None:
    asked, truncated = AdvancedNack(1, 7, ((0, 0xFFFF_FFFF),)).expand()
    assert truncated
    assert len(asked) == 16_384
    asked, truncated = AdvancedNack(0, 7, ((0, 0xFFFF_FFFF),) * 1000).expand()
    assert truncated
    assert len(asked) <= 16_384


def test_the_ranges_of_vendors() -> None:
    assert [is_vendors(index) for index in (0x77FF, 0x7800, 0x7FFF, 0x8000, 0xF7FF, 0xF800, 0xFFFF)] == [
        False,
        True,
        True,
        False,
        False,
        True,
        True,
    ]


DECODERS: list[Callable[[bytes], Any]] = [
    decode_control,
    decode_keepalive,
    decode_text,
    Echo.decode,
    FutureNonce.decode,
    Unsupported.decode,
    lambda data: AdvancedNack.decode(0, data).expand(),
    lambda data: AdvancedNack.decode(1, data).expand(),
]


@given(st.binary(max_size=64))
def test_no_message_does_worse_than_be_malformed(data: bytes) -> None:
    for decode in DECODERS:
        try:
            decode(data)
        except MalformedPacket:
            continue
