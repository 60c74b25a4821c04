from __future__ import annotations

from collections import Counter
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.errors import MalformedPacket
from terzetto.rist.wire.advanced_header import (
    AdvancedBody,
    AdvancedHeader,
    Compression,
    Flag,
    PayloadType,
    PskMode,
    decode_run,
    looks_like_advanced,
)
from terzetto.rtp.header import HeaderExtension
from tests.strategies import u16, u32, words

WHOLE = Flag.FIRST | Flag.LAST
SSRC = 0xAABBCC00

# Written by hand from the boxes of TR-06-3, or as two other implementations write them (the first two).
GOLDEN = {
    "direct, no key": (
        "807f5678 000f4240 aabbcc00 1234 c005",
        AdvancedHeader(0x12345678, 1_000_000, SSRC),
    ),
    "counter mode": (
        "807f0001 00000000 00000010 0000 c045 11111111 22222222",
        AdvancedHeader(1, 0, 0x10, psk=PskMode.CTR, nonce=b"\x11" * 4, iv=0x2222_2222),
    ),
    "descriptor": (
        "807f0001 00000002 aabbcc00 0000 c405",
        AdvancedHeader(1, 2, SSRC, flags=WHOLE | Flag.DESCRIPTOR),
    ),
    "repeat, first fragment, compressed": (
        "807fffff 00000002 aabbcc00 0001 9015",
        AdvancedHeader(0x1FFFF, 2, SSRC, flags=Flag.FIRST | Flag.RETRANSMISSION, compression=Compression.LZ4),
    ),
    "middle fragment": ("807f0001 00000002 aabbcc00 0000 0005", AdvancedHeader(1, 2, SSRC, flags=Flag(0))),
    "last fragment of IPv4": (
        "807f0001 00000002 aabbcc00 0000 4001",
        AdvancedHeader(1, 2, SSRC, kind=PayloadType.IPV4, flags=Flag.LAST),
    ),
    "control": (
        "807f0001 00000002 aabbcc01 0000 e004",
        AdvancedHeader(1, 2, SSRC | 1, kind=PayloadType.CONTROL, flags=WHOLE | Flag.EXPEDITE),
    ),
    "flow id": (
        "807f0001 00000002 aabbcc00 0000 c805 07b00011",
        AdvancedHeader(1, 2, SSRC, flags=WHOLE | Flag.FLOW_ID, flow_id=0x07B0_0011),
    ),
    "hash alone": (
        "807f0001 00000002 aabbcc00 0000 c085" + "0102030405060708090a0b0c0d0e0f10" + "11111111",
        AdvancedHeader(1, 2, SSRC, psk=PskMode.HMAC, hash=bytes(range(1, 17)), nonce=b"\x11" * 4),
    ),
    "everything that can be before the cipher": (
        "b07f0001 00000002 aabbcc00 beef0001 01020304 0000 cf35 00000009" + "ff" * 16 + "11111111 00000007",
        AdvancedHeader(
            1,
            2,
            SSRC,
            flags=WHOLE | Flag.FLOW_ID | Flag.DESCRIPTOR | Flag.EXTENSION,
            psk=PskMode.GCM,
            compression=Compression.INDEXED,
            flow_id=9,
            hash=b"\xff" * 16,
            nonce=b"\x11" * 4,
            iv=7,
            rtp_extension=HeaderExtension(0xBEEF, b"\1\2\3\4"),
            is_padded=True,
        ),
    ),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_headers_are_written_and_read_as_the_specification_draws_them(name: str) -> None:
    text, header = GOLDEN[name]
    data = bytes.fromhex(text)
    assert header.encode() == data
    assert AdvancedHeader.decode(data + b"payload") == header
    assert header.size == len(data)


def test_the_fields_behind_the_cipher_come_in_the_order_of_the_specification() -> None:
    header = AdvancedHeader(
        1, 2, SSRC, flags=WHOLE | Flag.DESCRIPTOR | Flag.EXTENSION, compression=Compression.INDEXED
    )
    body = AdvancedBody(b"payload", 0x41AFD040, 2, HeaderExtension(0x5249, b"\5\6\7\x08"))
    data = bytes.fromhex("00000002 41afd040 52490001 05060708") + b"payload"
    assert body.encode() == data
    assert AdvancedBody.decode(data, header.word) == body


def test_padding_is_no_payload() -> None:
    assert AdvancedBody.decode(b"payload\0\0\3", 0xC005, is_padded=True).payload == b"payload"
    with pytest.raises(MalformedPacket):
        AdvancedBody.decode(b"ab\xff", 0xC005, is_padded=True)


headers = st.builds(
    lambda flow_id, psk, extension, **fields: AdvancedHeader(
        **fields,
        psk=psk,
        flow_id=flow_id,
        rtp_extension=extension,
        hash=b"h" * 16 if psk in (2, 3, 4, 5, 7) else None,
        nonce=b"nonc" if psk else None,
        iv=99 if psk not in (0, 2) else None,
    ),
    sequence=u32,
    timestamp=u32,
    ssrc=u32,
    kind=st.integers(0, 15),
    flags=st.integers(0, 0x7F).map(lambda bits: Flag(bits << 9 & ~Flag.FLOW_ID)),
    psk=st.integers(0, 7),
    compression=st.integers(0, 3),
    flow_id=st.none() | u32,
    extension=st.none() | st.builds(HeaderExtension, u16, words()),
    is_padded=st.booleans(),
)


@given(headers)
def test_every_header_survives_the_wire(header: AdvancedHeader) -> None:
    decoded = AdvancedHeader.decode(header.encode())
    assert decoded._replace(flags=decoded.flags & ~Flag.FLOW_ID) == header
    assert decoded.word == header.word


@given(st.lists(st.binary(max_size=80) | headers.map(lambda header: header.encode() + b"body"), max_size=8))
def test_runs_hold_exactly_what_decodes_alone(datagrams: list[bytes]) -> None:
    dropped: Counter[str] = Counter()
    told = [
        (run.word, sequence, timestamp, iv, datagram[run.clear_size :])
        for run in decode_run(datagrams, dropped)
        for sequence, timestamp, iv, datagram in zip(
            run.sequences, run.timestamps, run.ivs or repeat(None), run.datagrams, strict=False
        )
    ]
    alone = []
    for datagram in datagrams:
        try:
            header = AdvancedHeader.decode(datagram)
        except MalformedPacket:
            continue
        alone.append((header.word, header.sequence, header.timestamp, header.iv, datagram[header.size :]))
    assert told == alone
    assert len(alone) + dropped.total() == len(datagrams)


@given(st.binary(max_size=60), st.integers(0, 0xFFFF), st.booleans())
def test_no_body_does_worse_than_be_malformed(data: bytes, word: int, is_padded: bool) -> None:
    try:
        body = AdvancedBody.decode(data, word, is_padded=is_padded)
    except MalformedPacket:
        return
    assert len(body.payload) <= len(data)


def test_consecutive_packets_are_one_run_until_their_headers_differ() -> None:
    sealed = [
        AdvancedHeader(n, n, SSRC, psk=PskMode.CTR, nonce=b"aaaa", iv=n).encode() + b"x" for n in range(3)
    ]
    rekeyed = AdvancedHeader(3, 3, SSRC, psk=PskMode.CTR, nonce=b"bbbb", iv=0).encode() + b"x"
    repeat = AdvancedHeader(
        1, 1, SSRC, flags=WHOLE | Flag.RETRANSMISSION, psk=PskMode.CTR, nonce=b"bbbb", iv=1
    ).encode()
    runs = decode_run([*sealed, rekeyed, repeat], Counter())
    assert [run.sequences for run in runs] == [[0, 1, 2], [3], [1]]
    assert [run.ivs for run in runs] == [[0, 1, 2], [0], [1]]


def test_the_form_is_known_by_its_first_bytes() -> None:
    assert looks_like_advanced(AdvancedHeader(1, 2, SSRC).encode())
    assert not looks_like_advanced(bytes.fromhex("801088b6") + bytes(20))  # GRE with a checksum
    assert not looks_like_advanced(bytes.fromhex("80210001") + bytes(20))  # RTP
    assert not looks_like_advanced(b"\x80\x7f")
