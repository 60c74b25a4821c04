"""Handshakes, extension blocks and key material: captured packets, round trips, strangers' bytes."""

import contextlib
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.srt.wire.control import ControlHeader
from terzetto.srt.wire.extensions import (
    Capabilities,
    Capability,
    ExtensionRefused,
    Extensions,
    GroupMembership,
)
from terzetto.srt.wire.handshake import (
    CONCLUSION,
    INDUCTION,
    MAGIC,
    Handshake,
    decode_peer_ip,
    encode_peer_ip,
)
from terzetto.srt.wire.key_material import CipherKind, KeyMaterial, KmState
from terzetto.srt.wire.rejection import RejectionReason, decode_rejection
from tests.srt.strategies import extensions, halves, key_materials, words
from tests.srt.vectors import VECTORS

LIVE = Capability(0xBF)
HANDSHAKES = [name for name, packet in VECTORS.items() if packet[:2] == b"\x80\x00"]
WITH_BLOCKS = [name for name in HANDSHAKES if len(VECTORS[name]) > 64]


def handshake(name: str) -> Handshake:
    return Handshake.decode(VECTORS[name][16:])


@pytest.mark.parametrize("name", HANDSHAKES)
def test_every_captured_handshake_is_written_as_it_was_read(name: str) -> None:
    assert handshake(name).encode() == VECTORS[name][16:]


@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_every_captured_extension_block_is_written_as_it_was_read(name: str) -> None:
    packet = handshake(name)
    blocks = Extensions.decode(packet.blocks)
    is_response = packet.blocks[1] == 2
    assert blocks.encode(is_response=is_response) == packet.blocks
    assert packet.extension == blocks.flags


def test_the_clear_handshake_reads_as_documented() -> None:
    request = handshake("clear induction request")
    assert (request.version, request.extension, request.kind) == (4, 2, INDUCTION)
    answer = handshake("clear induction response")
    assert (answer.version, answer.extension, answer.cookie) == (5, MAGIC, 0xB54CAA04)
    conclusion = handshake("clear conclusion request")
    assert conclusion.kind == CONCLUSION
    assert conclusion.flow_window == 8192
    assert decode_peer_ip(conclusion.peer_ip) == "127.0.0.1"
    assert Extensions.decode(conclusion.blocks) == Extensions(
        capabilities=Capabilities(0x010501, LIVE, 120, 0)
    )
    response = Extensions.decode(handshake("clear conclusion response").blocks)
    assert response.capabilities == Capabilities(0x010501, LIVE, 120, 120)


def test_stream_ids_congestion_filters_and_groups_are_unswapped() -> None:
    def blocks(name: str) -> Extensions:
        return Extensions.decode(handshake(name).blocks)

    assert blocks("aes128 conclusion request").stream_id == b"live/vector-abc"
    assert blocks("aes256 conclusion request").stream_id == b"%23!::r=movies,m=publish,u=bob"
    assert blocks("application request with streamid forbid").stream_id == b"forbid"
    assert blocks("file conclusion request").congestion == b"file"
    assert blocks("fec conclusion request").packet_filter == b"fec,cols:3,rows:2,layout:staircase,arq:onreq"
    assert blocks("group broadcast member 1 conclusion request").group == GroupMembership(0x63989D12, 1, 0, 9)


def test_key_failures_are_one_little_endian_word() -> None:
    def status(name: str) -> KmState | None:
        return Extensions.decode(handshake(name).blocks).key_status

    assert status("failure wrong passphrase") is KmState.BADSECRET
    assert status("failure caller has passphrase") is KmState.NOSECRET
    assert status("failure listener has passphrase") is KmState.UNSECURED
    assert KmState.decode(bytes.fromhex("00000004")) is KmState.BADSECRET


def test_rejections_carry_their_reason() -> None:
    def code(name: str) -> int:
        packet = handshake(name)
        assert packet.is_rejection
        return decode_rejection(packet.kind)

    assert code("failure wrong passphrase enforced rejection") == RejectionReason.BADSECRET
    assert code("application hook sets 1403") == 1403
    assert code("application hook sets 2005") == 2005
    assert code("application hook fails without code") == 1000
    assert decode_rejection(1403) == 1403  # as implementations send it that do not shift


@given(
    st.builds(
        Handshake,
        version=st.integers(4, 5),
        encryption=halves,
        extension=halves,
        initial_sequence=st.integers(0, 0x7FFFFFFE),
        mss=st.integers(76, 1500),
        flow_window=st.integers(2, 0x7FFFFFFF),
        kind=st.integers(-3, 5000),
        socket_id=words,
        cookie=words,
        peer_ip=st.binary(min_size=16, max_size=16),
        blocks=st.binary(max_size=100),
    )
)
def test_handshakes_survive_a_round_trip(packet: Handshake) -> None:
    assert Handshake.decode(packet.encode()) == packet


@given(extensions, st.booleans())
def test_extension_blocks_survive_a_round_trip(blocks: Extensions, is_response: bool) -> None:
    assert Extensions.decode(blocks.encode(is_response=is_response)) == blocks


@given(key_materials())
def test_key_material_survives_a_round_trip(material: KeyMaterial) -> None:
    assert KeyMaterial.decode(material.encode()) == material


@pytest.mark.parametrize(
    "changes",
    [{"version": 3}, {"initial_sequence": 0x7FFFFFFF}, {"mss": 75}, {"flow_window": 1}, {"mss": 0x10000}],
)
def test_a_handshake_out_of_range_is_refused(changes: dict[str, Any]) -> None:
    packet = attrs.evolve(handshake("clear conclusion request"), **changes)
    with pytest.raises(MalformedPacket):
        Handshake.decode(packet.encode())


@pytest.mark.parametrize(
    ("digits", "rejection"),
    [
        ("0001", RejectionReason.ROGUE),
        ("00010003000105", RejectionReason.ROGUE),
        ("0001000300010501000000bf007800000001000300010501000000bf00780000", RejectionReason.ROGUE),
        ("0007000161616161" * 2, RejectionReason.FILTER),
        ("00080001" + "40000001", RejectionReason.ROGUE),  # a group block of one word
        ("00080002" + "0000000101000001", RejectionReason.ROGUE),  # a group id without its bit
        ("00010002" + "0001010100000003", RejectionReason.ROGUE),  # a delay promised, none given
        ("0003001b" + "00" * 108, RejectionReason.ROGUE),  # key material of 108 bytes overflowed libsrt once
        ("0004001b" + "00" * 108, RejectionReason.ROGUE),
        ("00050081" + "61" * 516, RejectionReason.ROGUE),
        ("00070011" + "61" * 68, RejectionReason.FILTER),
    ],
)
def test_malformed_blocks_are_refused_with_a_reason(digits: str, rejection: RejectionReason) -> None:
    with pytest.raises(ExtensionRefused) as caught:
        Extensions.decode(bytes.fromhex(digits))
    assert caught.value.rejection is rejection


def test_blocks_of_unknown_types_are_skipped() -> None:
    known = handshake("clear conclusion request").blocks
    assert Extensions.decode(bytes.fromhex("00630001deadbeef") + known) == Extensions.decode(known)


@given(st.binary(max_size=200))
def test_strangers_bytes_fail_in_the_one_documented_way(data: bytes) -> None:
    for decode in (Handshake.decode, Extensions.decode, KeyMaterial.decode):
        with contextlib.suppress(MalformedPacket):
            decode(data)


@given(st.integers(0, 103))
def test_truncated_key_material_is_refused(size: int) -> None:
    whole = Extensions.decode(handshake("aes256 conclusion request").blocks).key_material
    if size < len(whole):
        with pytest.raises(MalformedPacket):
            KeyMaterial.decode(whole[:size])
    with pytest.raises(MalformedPacket):
        KeyMaterial.decode(whole + bytes(8))


def test_key_material_of_gcm_and_of_two_keys_is_read() -> None:
    gcm = KeyMaterial.decode(Extensions.decode(handshake("gcm128 conclusion request").blocks).key_material)
    assert (gcm.cipher, gcm.key_size, gcm.keys) == (CipherKind.AES_GCM, 16, 1)
    both = VECTORS["refresh ext kmreq 1"]
    assert ControlHeader.decode(both)[:2] == (0x7FFF, 3)
    material = KeyMaterial.decode(both[16:])
    assert (material.keys, len(material.wrapped)) == (3, 40)
    assert material.encode() == both[16:]


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.77", "2001:db8::1"])
def test_peer_addresses_survive_their_spelling(host: str) -> None:
    assert decode_peer_ip(encode_peer_ip(host)) == host
    assert encode_peer_ip("127.0.0.1")[:4] == bytes.fromhex("0100007f")
