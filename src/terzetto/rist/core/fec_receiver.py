"""Forward error correction at a receiver: what arrived in, what was lost out.

Nothing is assumed of the sender's matrix: each parity says which packets it covers, so that any arrangement, changed
at any time, is understood. Only the standard must be known, since the two headers cannot be told apart.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Final

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.fec import Decoder, Line, Parity, Rebuilt
from terzetto.primitives.sequence import Circle
from terzetto.primitives.time import MICROS_PER_MILLI, MICROS_PER_SECOND, Micros
from terzetto.rist.core.vocabulary import Media
from terzetto.rist.fec import LIMITS, RistFec
from terzetto.rist.options import MAX_PAYLOAD_SIZE
from terzetto.rist.wire import fec_2022_1, fec_2022_5
from terzetto.rtp.header import RtpPacket

__all__ = ["FecReceiver"]

# Three matrices: the one being received, the one whose parities arrive, and one for whatever comes late.
_MATRICES: Final = 3

_LEAST_WINDOW: Final = 3 * LIMITS["2022-1"].most_packets

# When packets arrived is remembered for so many batches.
_ARRIVALS: Final = 4096

_SLACK: Final[Micros] = 10 * MICROS_PER_MILLI


class FecReceiver:
    """Rebuilds lost packets of one flow."""

    def __init__(self, fec: RistFec, *, sequence_bits: int, longest: int = MAX_PAYLOAD_SIZE) -> None:
        standard = fec.standard
        self._limits = fec.limits
        self._decode = fec_2022_1.decode_fec if standard == "2022-1" else fec_2022_5.decode_fec
        base_bits = fec_2022_1.BASE_BITS if standard == "2022-1" else fec_2022_5.BASE_BITS
        # With 16-bit sequences the extension of the base is no part of them, and some senders fill it in anyhow.
        self._base_circle = Circle(min(base_bits, sequence_bits))
        self._circle = Circle(sequence_bits)
        # What we would send ourselves is a guess at what comes, so that the first large matrix is held whole.
        expected = _MATRICES * fec.as_layout().size
        self._decoder = Decoder(window=max(_LEAST_WINDOW, expected), longest=longest)
        self._sequences: list[int] = []
        self._times: list[Micros] = []
        self._lag: Micros = 0
        self._heard_at: Micros | None = None
        self.received = 0
        """Parities."""
        self.dropped: Counter[str] = Counter()
        """Parities that could not be understood, by reason."""

    @property
    def rejected(self) -> int:
        """Parities that gave nothing that can have been a packet, or lie where there is no stream."""
        return self._decoder.rejected

    def reset(self) -> None:
        """The flow begins anew."""
        self._decoder.reset()
        self._sequences.clear()
        self._times.clear()

    def patience(self, now: Micros, *, most: Micros) -> Micros:
        """How long a gap should be left to us: as long as parities lag behind their packets, at most *most*.

        Nothing when no parities come.
        """
        if self._heard_at is None or now - self._heard_at > MICROS_PER_SECOND + 4 * self._lag:
            return 0
        return min(self._lag + self._lag // 4 + _SLACK, most)

    def hear_media(self, packets: Sequence[Media], *, now: Micros) -> list[Media]:
        """Packets arrived; those that can be rebuilt now."""
        rebuilt: list[Rebuilt] = []
        take = self._decoder.take
        newest = self._decoder.newest
        unwrap = self._circle.unwrap
        if newest is None:
            newest = packets[0][0] + (1 << 32)  # far from zero: endless numbers, never negative
        first = newest + 1
        for sequence, timestamp, payload, _ in packets:
            position = unwrap(sequence, newest)
            found = take(position, payload, timestamp)
            if found:
                rebuilt += found
            if position > newest:
                newest = position
        self._note_arrival(first, now)
        return self._media(rebuilt) if rebuilt else []

    def hear_parities(self, datagrams: Sequence[Buffer], *, now: Micros) -> list[Media]:
        """Parities arrived, of rows or columns, each an RTP packet; the packets that can be rebuilt now."""
        bodies: list[Buffer] = []
        for datagram in datagrams:
            try:
                bodies.append(RtpPacket.decode(datagram).payload)
            except MalformedPacket as malformed:
                self.received += 1
                self.dropped[malformed.reason] += 1
        return self.hear_bodies(bodies, now=now)

    def hear_bodies(self, bodies: Sequence[Buffer], *, now: Micros) -> list[Media]:
        """The same, of what would be the payload of such a packet."""
        rebuilt: list[Rebuilt] = []
        for body in bodies:
            self.received += 1
            try:
                fec = self._decode(body)
            except MalformedPacket as malformed:
                self.dropped[malformed.reason] += 1
                continue
            newest = self._decoder.newest
            if newest is None:
                continue
            line = Line(
                self._base_circle.unwrap(fec.base & self._base_circle.mask, newest), fec.offset, fec.number
            )
            self._heard_at = now
            self._make_room(line)
            self._note_lag(line, now)
            rebuilt += self._decoder.take_parity(Parity(line, fec.timestamp, fec.length, fec.body))
        return self._media(rebuilt) if rebuilt else []

    def _make_room(self, line: Line) -> None:
        """The window follows the largest matrix, within what the standard allows."""
        needed = _MATRICES * min(line.step * line.size, self._limits.most_packets)
        self._decoder.window = max(self._decoder.window, needed)

    def _note_arrival(self, first: int, now: Micros) -> None:
        if self._sequences and first <= self._sequences[-1]:
            return
        self._sequences.append(first)
        self._times.append(now)
        if len(self._sequences) >= 2 * _ARRIVALS:
            del self._sequences[:_ARRIVALS], self._times[:_ARRIVALS]

    def _note_lag(self, line: Line, now: Micros) -> None:
        """How long after its first packet a parity came; slowly forgotten, so that the slowest kind counts."""
        index = bisect_left(self._sequences, line.base + 1) - 1
        if index >= 0:
            self._lag = max(now - self._times[index], self._lag - self._lag // 256)

    def _media(self, rebuilt: list[Rebuilt]) -> list[Media]:
        mask = self._circle.mask
        return [(each.sequence & mask, each.fields, each.payload, False) for each in sorted(rebuilt)]
