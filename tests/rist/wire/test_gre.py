from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.wire.gre import (
    EAPOL,
    IPV4,
    REDUCED,
    VSF,
    GreHeader,
    GreRun,
    decode_run,
    encode_run,
    looks_like_gre,
)
from tests.strategies import u16, u32

GOLDEN = {
    "0.2.7 in the clear": ("000088b6", GreHeader(REDUCED, 0)),
    "0.2.7 out of band": ("00000800", GreHeader(IPV4, 0)),
    "0.2.12 to a peer of revision 0": ("100088b6 00000003", GreHeader(REDUCED, 0, 3)),
    "0.2.12, revision 1": ("100888b6 01020304", GreHeader(REDUCED, 1, 0x01020304)),
    "0.2.12, revision 2": ("1010cce0 00000034", GreHeader(VSF, 2, 0x34)),
    "AES-128, revision 1": (
        "300888b6 aabbccdd 01020304",
        GreHeader(REDUCED, 1, 0x01020304, b"\xaa\xbb\xcc\xdd"),
    ),
    "AES-256, revision 1": (
        "304888b6 aabbccdd 01020304",
        GreHeader(REDUCED, 1, 0x01020304, b"\xaa\xbb\xcc\xdd", True),
    ),
    "AES-128, revision 2": ("3010cce0 80c4ba71 00000036", GreHeader(VSF, 2, 0x36, b"\x80\xc4\xba\x71")),
    "checksum and sequence": (
        "900888b6 deadbeef 01020304",
        GreHeader(REDUCED, 1, 0x01020304, checksum=0xDEADBEEF),
    ),
    "login": ("0000888e", GreHeader(EAPOL, 0)),
}

headers = st.builds(
    GreHeader,
    u16,
    st.integers(0, 2),
    st.none() | u32,
    st.none() | st.binary(min_size=4, max_size=4),
    st.booleans(),
    st.none() | u32,
)


@pytest.mark.parametrize("name", GOLDEN)
def test_headers_seen_in_the_field(name: str) -> None:
    text, header = GOLDEN[name]
    assert GreHeader.decode(bytes.fromhex(text) + b"payload") == header
    assert header.encode() == bytes.fromhex(text)
    assert header.size == len(bytes.fromhex(text))


@pytest.mark.parametrize(("second", "version"), [(0x18, 2), (0x20, 2), (0x58, 2)])
def test_revisions_3_and_4_are_read_as_2(second: int, version: int) -> None:
    assert GreHeader.decode(bytes((0, second, 0xCC, 0xE0))).version == version


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "truncated"),
        ("1010cc", "truncated"),
        ("1010cce0000000", "truncated"),
        ("3010cce000000000000000", "truncated"),
        ("401088b6", "not RIST"),  # routing
        ("011088b6", "not RIST"),  # reserved flags
        ("001188b6", "not RIST"),  # GRE version 1
        ("009088b6", "not RIST"),  # the bit beside H
        ("002888b6", "unknown revision"),
        ("003888b6", "unknown revision"),
    ],
)
def test_what_is_no_header_of_ours_is_malformed(text: str, reason: str) -> None:
    with pytest.raises(MalformedPacket, match=reason):
        GreHeader.decode(bytes.fromhex(text))


@given(headers, st.binary(max_size=20))
def test_every_header_survives_the_wire(header: GreHeader, payload: bytes) -> None:
    data = header.encode() + payload
    assert GreHeader.decode(data) == header
    assert data[header.size :] == payload


@given(st.binary(max_size=40))
def test_strange_bytes_are_understood_or_malformed(data: bytes) -> None:
    try:
        header = GreHeader.decode(data)
    except MalformedPacket:
        return
    assert header.size <= len(data)


@given(st.lists(st.binary(max_size=20), min_size=1), st.none() | st.binary(min_size=4, max_size=4), u32)
def test_a_run_of_one_stream_is_one_run_at_the_other_end(
    payloads: list[bytes], nonce: bytes | None, first: int
) -> None:
    wire = encode_run(
        payloads, protocol_type=VSF, version=2, first_sequence=first, nonce=nonce, wide_key=True
    )
    dropped: Counter[str] = Counter()
    (run,) = decode_run(wire, dropped)
    assert run == GreRun(
        VSF, 2, nonce, True, [(first + i) & 0xFFFFFFFF for i in range(len(payloads))], list(payloads)
    )
    assert not dropped


@given(st.lists(st.tuples(headers, st.binary(max_size=8)) | st.binary(max_size=8)))
def test_runs_hold_what_single_headers_hold(mixture: list[tuple[GreHeader, bytes] | bytes]) -> None:
    wire: list[Buffer] = [
        memoryview(entry if isinstance(entry, bytes) else entry[0].encode() + entry[1]) for entry in mixture
    ]
    expected: list[tuple[object, ...]] = []
    malformed: Counter[str] = Counter()
    for datagram in wire:
        try:
            header = GreHeader.decode(datagram)
        except MalformedPacket as exc:
            malformed[exc.reason] += 1
        else:
            expected.append((header._replace(checksum=None), bytes(datagram[header.size :])))
    dropped: Counter[str] = Counter()
    found: list[tuple[object, ...]] = []
    for protocol_type, version, nonce, wide_key, sequences, payloads in decode_run(wire, dropped):
        assert len(sequences) in (0, len(payloads))
        for index, payload in enumerate(payloads):
            sequence = sequences[index] if sequences else None
            found.append((GreHeader(protocol_type, version, sequence, nonce, wide_key), bytes(payload)))
    assert found == expected
    assert dropped == malformed


def test_the_clear_stream_of_0_2_7_is_one_run_without_sequences() -> None:
    wire: list[Buffer] = [bytes.fromhex("000088b6") + bytes((number,)) for number in range(5)]
    assert decode_run(wire, Counter()) == [
        GreRun(REDUCED, 0, None, False, [], [bytes((number,)) for number in range(5)])
    ]


def test_a_login_that_0_2_12_repeats_without_a_header_is_a_login() -> None:
    identity = bytes.fromhex("03000009 02110009 0172697374")
    dropped: Counter[str] = Counter()
    runs = decode_run([identity, b"\x03\x00\x00\x0a" + identity[4:], identity[:-1]], dropped)
    assert runs == [GreRun(EAPOL, 2, None, False, [], [identity])]
    assert dropped == {"not RIST's GRE": 2}
    assert looks_like_gre(identity)


def test_a_shorter_datagram_ends_a_run_without_harm() -> None:
    wire = encode_run([b"a"], protocol_type=VSF, version=2, first_sequence=1, nonce=b"abcd")
    dropped: Counter[str] = Counter()
    runs = decode_run([wire[0], wire[0][:11], wire[0]], dropped)
    assert [run.payloads for run in runs] == [[b"a", b"a"]]
    assert dropped == {"GRE header is truncated": 1}


def test_a_new_nonce_is_a_new_run() -> None:
    wire = [
        *encode_run([b"a", b"b"], protocol_type=VSF, version=2, first_sequence=1, nonce=b"abcd"),
        *encode_run([b"c"], protocol_type=VSF, version=2, first_sequence=3, nonce=b"abce"),
    ]
    assert [(run.nonce, run.sequences) for run in decode_run(wire, Counter())] == [
        (b"abcd", [1, 2]),
        (b"abce", [3]),
    ]


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("1010cce000000001", True),
        ("000088b6", True),
        ("0000888e", True),
        ("0000abcd", False),
        ("80210000da93ef3309ba79de", False),
        ("", False),
    ],
)
def test_gre_is_told_from_other_protocols_on_a_port(text: str, ours: bool) -> None:
    assert looks_like_gre(bytes.fromhex(text)) is ours
