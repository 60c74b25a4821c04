"""Media of the Advanced profile to and from the vocabulary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer, Run
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rist.core.advanced_evidence import MPEG_TS
from terzetto.rist.core.advanced_pieces import HOLDS_ITS_PLACE, Piece, decompress
from terzetto.rist.core.advanced_sealer import AdvancedSealer
from terzetto.rist.core.advanced_timeline import Framing, ReceiveTimeline
from terzetto.rist.core.counters import AdvancedCounters
from terzetto.rist.core.vocabulary import Media, MediaArrival
from terzetto.rist.quirks import Quirk, Quirks
from terzetto.rist.wire.advanced_header import (
    FIXED,
    PLAIN_START,
    AdvancedBody,
    AdvancedRun,
    Compression,
    Flag,
    PayloadType,
)
from terzetto.rist.wire.virtual_ports import PORTS_SIZE

__all__ = ["goes_by_arrival", "media_arrival", "media_from_run", "media_packets"]

_MASK: Final = 0xFFFF_FFFF
_RATE: Final = MICROS_PER_SECOND
_WHOLE: Final = Flag.FIRST | Flag.LAST
_MPEG_TS: Final = MPEG_TS.to_bytes(4, "big")
_LPC: Final = 0x0030
_LZ4: Final = Compression.LZ4 << 4
_PSK_SHIFT: Final = 6


# -- in ----------------------------------------------------------------------------------------------------------


def media_from_run(
    run: AdvancedRun,
    bodies: list[Buffer],
    timeline: ReceiveTimeline,
    *,
    by_arrival: bool,
    now: Micros,
    dropped: Counter[str],
    counters: AdvancedCounters,
) -> list[Media]:
    """Packets of the protected flow, in the flow's own counting; those that cannot be read are left out."""
    word = run.word
    is_retransmission = bool(word & Flag.RETRANSMISSION)
    shift = timeline.advanced_shift(run.sequences)
    times = _times(run, timeline, by_arrival=by_arrival, is_retransmission=is_retransmission, now=now)
    sequences = run.sequences if not shift else [(each - shift) & _MASK for each in run.sequences]
    payloads = _payloads(run, bodies, dropped)
    if word & _LPC and word & _WHOLE == _WHOLE:
        counters.decompressed += len(payloads) - payloads.count(None)
    return [
        (sequence, time, payload, is_retransmission)
        for sequence, time, payload in zip(sequences, times, payloads, strict=True)
        if payload is not None
    ]


def goes_by_arrival(run: AdvancedRun, quirks: Quirks | None) -> bool:
    """Whether the packets' timestamps tell nothing, and their arrival has to do."""
    if run.header.kind != PayloadType.DIRECT:
        return False
    if quirks is None:
        # The specification wants a descriptor; who leaves it out is libRIST, or speaks as it does.
        return not run.word & Flag.DESCRIPTOR
    return Quirk.CLOCK in quirks


def media_arrival(run: Run, flow_id: int, media: list[Media]) -> MediaArrival:
    """Media that came in *run*, and what of it is to be handed out at once."""
    expedited: Sequence[Media] = ()
    if isinstance(media[0][2], Piece) and media[0][2].is_expedited:  # as all of a run are, or none
        expedited = media
        media = [(sequence, time, HOLDS_ITS_PLACE, again) for sequence, time, _, again in media]
    return MediaArrival(run.peer, run.path, run.local, flow_id, media, _RATE, 32, expedited=expedited)


def _times(
    run: AdvancedRun, timeline: ReceiveTimeline, *, by_arrival: bool, is_retransmission: bool, now: Micros
) -> list[int]:
    if by_arrival:
        if is_retransmission:
            moments = [timeline.arrival_of(sequence, now) for sequence in run.sequences]
        else:
            moments = timeline.arrivals(run.sequences, now)
        times = [timeline.time(Framing.ARRIVAL, moment, now, is_late=is_retransmission) for moment in moments]
        if not is_retransmission:
            timeline.heard(Framing.ARRIVAL, times[-1], now)
        return times
    first = run.timestamps[0]
    ahead = (timeline.time(Framing.ADVANCED, first, now, is_late=is_retransmission) - first) & _MASK
    times = run.timestamps if not ahead else [(each + ahead) & _MASK for each in run.timestamps]
    if not is_retransmission:
        timeline.heard(Framing.ADVANCED, times[-1], now)
    return times


def _payloads(run: AdvancedRun, bodies: list[Buffer], dropped: Counter[str]) -> Sequence[bytes | None]:
    word = run.word
    kind = run.header.kind
    is_whole = word & _WHOLE == _WHOLE
    if kind == PayloadType.CONTROL:
        return [HOLDS_ITS_PLACE] * len(bodies)  # it was heard already
    if word & _LPC not in (0, _LZ4):
        dropped["compressed in a way that we do not know"] += len(bodies)
        return [None] * len(bodies)
    if word & Flag.EXTENSION or run.header.is_padded:
        return [_unusual(body, run, dropped) for body in bodies]
    if word & Flag.DESCRIPTOR:
        bodies = [body[4:] for body in bodies]
    if is_whole and kind == PayloadType.DIRECT and not (word & (_LPC | Flag.EXPEDITE) or run.header.flow_id):
        return [bytes(body) for body in bodies]
    return [_payload(body, run, dropped) for body in bodies]


def _unusual(body: Buffer, run: AdvancedRun, dropped: Counter[str]) -> bytes | None:
    try:
        decoded = AdvancedBody.decode(body, run.word, is_padded=run.header.is_padded)
    except MalformedPacket as malformed:
        dropped[malformed.reason] += 1
        return None
    return _payload(decoded.payload, run, dropped)


def _payload(payload: Buffer, run: AdvancedRun, dropped: Counter[str]) -> bytes | None:
    word = run.word
    is_compressed = bool(word & _LPC)
    if is_compressed and word & _WHOLE == _WHOLE:
        try:
            payload, is_compressed = decompress(payload), False
        except MalformedPacket as malformed:
            dropped[malformed.reason] += 1
            return None
    return _kept(payload, word, run.header.flow_id or 0, is_compressed=is_compressed)


def _kept(payload: Buffer, word: int, label: int, *, is_compressed: bool) -> bytes:
    """A payload as the recovery buffer keeps it: plain where it is what the user gets, else a piece."""
    kind = word & 0x0F
    is_whole = word & _WHOLE == _WHOLE
    if is_whole and not label and not word & Flag.EXPEDITE:
        if kind == PayloadType.DIRECT:
            return bytes(payload)
        if kind == PayloadType.REDUCED_UDP:
            return bytes(payload[PORTS_SIZE:])
    return Piece(
        payload,
        fragment=Flag(word) & _WHOLE,
        is_compressed=is_compressed,
        kind=kind,
        label=label,
        is_expedited=is_whole and bool(word & Flag.EXPEDITE),
    )


# -- out ---------------------------------------------------------------------------------------------------------


def media_packets(
    payloads: Sequence[Buffer],
    *,
    first_sequence: int,
    timestamp: int,
    ssrc: int,
    is_retransmission: bool,
    with_descriptor: bool,
    flow_id: bytes,
    sealer: AdvancedSealer | None,
) -> list[Buffer]:
    """Datagrams of consecutive payloads that share a timestamp."""
    word = _WHOLE | PayloadType.DIRECT
    descriptor = b""
    if is_retransmission:
        word |= Flag.RETRANSMISSION
    if with_descriptor:
        word |= Flag.DESCRIPTOR
        descriptor = _MPEG_TS
    if sealer is not None:
        word |= sealer.mode << _PSK_SHIFT
    if flow_id:
        word |= Flag.FLOW_ID
    if not any(payload.__class__ is Piece for payload in payloads):
        heads: Sequence[tuple[int, bytes]] = [(word, flow_id)] * len(payloads)
    else:
        heads = [_head_of(payload, word, flow_id) for payload in payloads]
    pack = FIXED.pack
    fronts = [
        pack(PLAIN_START, sequence & 0xFFFF, timestamp, ssrc, sequence >> 16 & 0xFFFF, each) + label
        for sequence, (each, label) in enumerate(heads, first_sequence)
    ]
    if sealer is None:
        return [
            b"".join((front, descriptor, payload)) for front, payload in zip(fronts, payloads, strict=True)
        ]
    bodies: list[Buffer] = (
        [b"".join((descriptor, payload)) for payload in payloads] if descriptor else list(payloads)
    )
    return sealer.seal_run(fronts, bodies)


def _head_of(payload: Buffer, word: int, flow_id: bytes) -> tuple[int, bytes]:
    """The word of flags and the flow id's field."""
    if not isinstance(payload, Piece):
        return word, flow_id
    word = word & ~_WHOLE | payload.fragment
    if payload.is_compressed:
        word |= _LZ4
    if payload.is_expedited and payload.fragment == _WHOLE:
        word |= Flag.EXPEDITE
    if payload.label is None:
        return word, flow_id
    return word | Flag.FLOW_ID, payload.label.to_bytes(4, "big")
