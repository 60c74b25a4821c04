"""RTP packets to and from the vocabulary: every profile's media is one of these at heart."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rist.core.null_packets import delete_null_packets, restore_null_packets
from terzetto.rist.core.vocabulary import Media
from terzetto.rist.wire.header_extension import RistHeaderExtension
from terzetto.rtp.header import (
    FIXED_HEADER,
    FIXED_HEADER_SIZE,
    PAYLOAD_TYPE_MASK,
    PLAIN_FIRST_BYTE,
    VERSION_MASK,
    RtpPacket,
    looks_like_rtcp,
)

__all__ = ["extended_rtp_from_media", "media_from_rtp", "rtp_from_media"]

_SEQUENCE_MASK: Final = 0xFFFF
_FIRST_RTCP_TYPE: Final = 192
_FLOW_MASK: Final = 0xFFFF_FFFE
_NO_EXTENSION: Final = RistHeaderExtension()


def media_from_rtp(
    datagrams: Iterable[Buffer], dropped: Counter[str], *, start: int = 0
) -> list[tuple[int, int, int, list[Media]]]:
    """Packets of each flow in turn: (flow id, payload type of the first, bits of a sequence, consecutive packets).

    RTP begins at *start* of each datagram. Deleted null packets are restored, and extended sequences put together.
    What is no RTP is counted in *dropped*.
    """
    flows: list[tuple[int, int, int, list[Media]]] = []
    ssrc_before = -1
    flow_id = -1
    bits = bits_before = 16
    is_retransmission = False
    packets: list[Media] = []
    unpack = FIXED_HEADER.unpack_from
    payload_at = start + FIXED_HEADER_SIZE
    for datagram in datagrams:
        try:
            first, second, sequence, timestamp, ssrc = unpack(datagram, start)
        except struct.error:
            dropped[_named(datagram[start:]) or "RTP header is truncated"] += 1
            continue
        if first == PLAIN_FIRST_BYTE:
            payload = datagram[payload_at:]
            bits = 16
        else:
            try:
                payload, high = _unusual(datagram[start:])
                bits = 16 if high is None else 32
                sequence |= (high or 0) << 16
            except MalformedPacket as malformed:
                dropped[_named(datagram[start:]) or malformed.reason] += 1
                continue
        if payload.__class__ is not bytes:
            payload = bytes(payload)
        if ssrc != ssrc_before or bits != bits_before:
            if not start and second >= _FIRST_RTCP_TYPE and looks_like_rtcp(datagram):
                # Taken for media, a report would look like the beginning of another flow.
                dropped["RTCP on the media port"] += 1
                continue
            if not (start or second or sequence or timestamp) and _is_srt_handshake(datagram):
                dropped["SRT handshake"] += 1
                continue
            ssrc_before = ssrc
            is_retransmission = ssrc & 1 == 1
            if flow_id != ssrc & _FLOW_MASK or bits != bits_before:
                flow_id = ssrc & _FLOW_MASK
                packets = []
                flows.append((flow_id, second & PAYLOAD_TYPE_MASK, bits, packets))
            bits_before = bits
        packets.append((sequence, timestamp, payload, is_retransmission))
    return flows


def _unusual(packet: Buffer) -> tuple[Buffer, int | None]:
    """The payload of a packet with more than the fixed header, and the upper half of its sequence if it says so."""
    decoded = RtpPacket.decode(packet)
    if decoded.extension is None or len(decoded.extension.data) < 4:
        return decoded.payload, None
    extension = RistHeaderExtension.decode(decoded.extension)
    if extension is None:
        return decoded.payload, None
    return restore_null_packets(decoded.payload, extension), extension.sequence_high


def rtp_from_media(
    payloads: Sequence[Buffer],
    *,
    payload_type: int,
    first_sequence: int,
    timestamp: int,
    ssrc: int,
    before: bytes = b"",
) -> list[Buffer]:
    """RTP packets for consecutive *payloads* of one timestamp, each with *before* in front."""
    pack = FIXED_HEADER.pack
    if before:
        return [
            b"".join(
                (
                    before,
                    pack(PLAIN_FIRST_BYTE, payload_type, sequence & _SEQUENCE_MASK, timestamp, ssrc),
                    payload,
                )
            )
            for sequence, payload in enumerate(payloads, first_sequence)
        ]
    return [
        pack(PLAIN_FIRST_BYTE, payload_type, sequence & _SEQUENCE_MASK, timestamp, ssrc) + payload
        for sequence, payload in enumerate(payloads, first_sequence)
    ]


def extended_rtp_from_media(
    payloads: Sequence[Buffer],
    *,
    payload_type: int,
    first_sequence: int,
    timestamp: int,
    ssrc: int,
    before: bytes = b"",
    delete_nulls: bool,
    extend_sequence: bool,
) -> list[Buffer]:
    """Like `rtp_from_media`, without null packets, or with the upper halves of sequences, in RIST's extension."""
    packets: list[Buffer] = []
    for sequence, payload in enumerate(payloads, first_sequence):
        extension: RistHeaderExtension | None = None
        if delete_nulls:
            payload, extension = delete_null_packets(payload)
        if extend_sequence:
            extension = (extension or _NO_EXTENSION)._replace(sequence_high=sequence >> 16 & _SEQUENCE_MASK)
        packet = RtpPacket(
            payload_type=payload_type,
            sequence=sequence & _SEQUENCE_MASK,
            timestamp=timestamp,
            ssrc=ssrc,
            payload=payload,
            extension=None if extension is None else extension.encode(),
        )
        packets.append(before + packet.encode())
    return packets


def _is_srt_handshake(datagram: Buffer) -> bool:
    """Whether this is how SRT begins; read as RTP it would be audio from flow so and so."""
    return (
        len(datagram) >= 64
        and bytes(datagram[:4]) == b"\x80\0\0\0"
        and bytes(datagram[12:20]) in (b"\0\0\0\0\0\0\0\4", b"\0\0\0\0\0\0\0\5")
    )


def _named(datagram: Buffer) -> str | None:
    """What a datagram that is no RTP looks like; the first minute's mistakes have names."""
    if not len(datagram):
        return "empty datagram"
    first = datagram[0]
    if first == 0x47 and len(datagram) % 188 == 0:
        return "plain MPEG-TS, not RIST"
    if first & 0x0F == 0 and first & 0x40 == 0 and len(datagram) >= 4:
        kind = bytes(datagram[2:4])
        if kind in (b"\x88\xb6", b"\x88\xb5", b"\x08\x00", b"\x88\x8e", b"\xcc\xe0"):
            return "RIST Main profile (GRE)"
    if len(datagram) >= 16 and first & VERSION_MASK == 0 and bytes(datagram[12:16]) == bytes(4):
        return "SRT handshake"
    return None
