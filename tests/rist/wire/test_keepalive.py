from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.keepalive import LIBRIST_CAPABILITIES, Capability, Keepalive
from tests.strategies import u16

MAC = bytes.fromhex("060f744395c0")


def test_librist_announces_bonding_seamless_switching_null_deletion_and_reduced_overhead() -> None:
    data = bytes.fromhex("060f744395c0 2520")
    keepalive = Keepalive.decode(data)
    assert keepalive == Keepalive(MAC, LIBRIST_CAPABILITIES)
    assert keepalive.encode() == data
    assert keepalive.document() == {}


def test_newest_librist_announces_the_advanced_profile_in_a_word_of_its_own() -> None:
    keepalive = Keepalive.decode(bytes.fromhex("060f744395c0 2520 e0000000"))
    advanced = Capability.ADVANCED | Capability.ADVANCED_FRAGMENTATION | Capability.ADVANCED_COMPRESSION
    assert keepalive == Keepalive(MAC, LIBRIST_CAPABILITIES | advanced, has_word=True)
    assert keepalive.encode() == bytes.fromhex("060f744395c0 2527 e0000000")


def test_json_is_read_with_and_without_its_nul_and_after_the_word() -> None:
    text = b'{"vendor": {"implementation": {"productName": "x"}}, "unknown": [1]}'
    flags = (LIBRIST_CAPABILITIES | Capability.JSON).to_bytes(2, "big")
    for tail in (text, text + b"\0", b"\x80\0\0\0" + text + b"\0"):
        keepalive = Keepalive.decode(MAC + flags + tail)
        assert keepalive.document() == json.loads(text)


@pytest.mark.parametrize("size", range(8))
def test_a_short_keepalive_is_malformed(size: int) -> None:
    with pytest.raises(MalformedPacket):
        Keepalive.decode(bytes(size))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"{", "read"),
        (b'{"a": \xff}', "read"),
        (b"{" + b"[" * 5000, "deeply"),
        (b'{"a":' * 2000, "deeply"),
    ],
)
def test_json_that_cannot_be_read_is_malformed(text: bytes, reason: str) -> None:
    keepalive = Keepalive.decode(MAC + b"\x25\x30" + text)
    with pytest.raises(MalformedPacket, match=reason):
        keepalive.document()


def test_json_that_is_no_object_is_malformed() -> None:
    with pytest.raises(MalformedPacket, match="no object"):
        Keepalive(MAC, Capability.JSON, b"[1]").document()


@given(
    st.builds(
        Keepalive,
        st.binary(min_size=6, max_size=6),
        u16.map(Capability),
        st.sampled_from([b"", b"{}", b'{"routing": true}']),
    )
)
def test_every_keepalive_survives_the_wire(keepalive: Keepalive) -> None:
    assert Keepalive.decode(keepalive.encode()) == keepalive
    with_word = keepalive._replace(has_word=True)
    assert Keepalive.decode(with_word.encode()) == with_word


@given(st.binary(min_size=8, max_size=60))
def test_strange_bytes_are_understood(data: bytes) -> None:
    keepalive = Keepalive.decode(data)
    try:
        assert isinstance(keepalive.document(), dict)
    except MalformedPacket:
        assert keepalive.json
