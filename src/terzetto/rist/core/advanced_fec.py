"""Forward error correction of the Advanced profile: sums of whole packets as they are on the wire.

What is behind the twelve bytes of RTP goes in, RIST's own header and enciphered payload and all (TR-06-3, section
5.3.5), so a parity gives nothing away, and what is rebuilt is deciphered and checked like any other packet. Parities
travel as control messages, and in fragments where they are too long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.time import Micros
from terzetto.rist.core.fec_receiver import FecReceiver
from terzetto.rist.core.fec_sender import FecSender
from terzetto.rist.fec import RistFec
from terzetto.rist.wire.advanced_control import ControlIndex
from terzetto.rist.wire.advanced_header import FIXED, PLAIN_START, AdvancedRun, Flag
from terzetto.rtp.header import FIXED_HEADER_SIZE

__all__ = ["WireFec"]

_PAYLOAD_TYPE: Final = 127
_SEQUENCE_BITS: Final = 32
_LONGEST: Final = 65_536

# As `FecSender` names the two kinds: columns and rows.
_COLUMN: Final = 2

_INDICES: Final = {
    "2022-1": (ControlIndex.FEC_2022_1_COLUMN, ControlIndex.FEC_2022_1_ROW),
    "2022-5": (ControlIndex.FEC_2022_5_COLUMN, ControlIndex.FEC_2022_5_ROW),
}


class WireFec:
    """Both directions of one peer's forward error correction."""

    def __init__(self, fec: RistFec) -> None:
        self._indices = _INDICES[fec.standard]
        self.sender = FecSender(fec, payload_type=_PAYLOAD_TYPE, in_rtp=False)
        self.receiver = FecReceiver(fec, sequence_bits=_SEQUENCE_BITS, longest=_LONGEST)
        self._flow_id = -1

    def protect(
        self, datagrams: Sequence[Buffer], *, first: int, timestamp: int
    ) -> list[tuple[ControlIndex, Buffer]]:
        """Originals leave; the control messages to send after them, index and body."""
        bodies = [datagram[FIXED_HEADER_SIZE:] for datagram in datagrams]
        return [
            (self._indices[0] if kind == _COLUMN else self._indices[1], parity)
            for kind, parities in self.sender.feed(bodies, first=first, timestamp=timestamp)
            for parity in parities
        ]

    def hear_media(self, run: AdvancedRun, *, now: Micros) -> list[Buffer]:
        """Packets of the protected flow arrived; those that can be rebuilt now, as they were on the wire."""
        if run.word & Flag.RETRANSMISSION:
            return []  # enciphered anew, so of no use to a sum of what was sent first
        if run.header.ssrc != self._flow_id:
            self._flow_id = run.header.ssrc
            self.receiver.reset()
        packets = [
            (sequence, timestamp, bytes(datagram[FIXED_HEADER_SIZE:]), False)
            for sequence, timestamp, datagram in zip(
                run.sequences, run.timestamps, run.datagrams, strict=True
            )
        ]
        return self._datagrams(self.receiver.hear_media(packets, now=now))

    def hear_parities(self, parities: Sequence[tuple[int, bytes]], *, now: Micros) -> list[Buffer]:
        """Control messages arrived, index and body; the packets that can be rebuilt now."""
        bodies = [body for index, body in parities if index in self._indices]
        others = len(parities) - len(bodies)
        if others:
            self.receiver.dropped["parity of another standard than ours"] += others
        return self._datagrams(self.receiver.hear_bodies(bodies, now=now)) if bodies else []

    def _datagrams(self, rebuilt: Sequence[tuple[int, int, bytes, bool]]) -> list[Buffer]:
        front = FIXED.size
        datagrams: list[Buffer] = []
        for sequence, timestamp, body, _ in rebuilt:
            high, word = body[:2], body[2:4]
            if len(body) < front - FIXED_HEADER_SIZE or high != (sequence >> 16 & 0xFFFF).to_bytes(2, "big"):
                self.receiver.dropped["parity of what can have been no packet"] += 1
                continue
            head = FIXED.pack(
                PLAIN_START,
                sequence & 0xFFFF,
                timestamp,
                self._flow_id,
                sequence >> 16 & 0xFFFF,
                int.from_bytes(word, "big"),
            )
            datagrams.append(head + body[4:])
        return datagrams
