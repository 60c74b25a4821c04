"""Forward error correction at a sender: media in, parities out, on ports of their own."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Buffer
from terzetto.primitives.fec import Encoder, Parity
from terzetto.rist.core.profile import FEC_COLUMN, FEC_ROW
from terzetto.rist.fec import RistFec
from terzetto.rist.wire import fec_2022_1, fec_2022_5
from terzetto.rist.wire.fec_packet import PARITY_TYPE, FecPacket
from terzetto.rtp.header import pack_header

__all__ = ["FecSender"]

# Nobody's source number: they belong to no flow of their own.
_SSRC: Final = 0

_SEQUENCE_MASK: Final = 0xFFFF
_TIMESTAMP_MASK: Final = 0xFFFF_FFFF
_TIMESTAMP_BITS: Final = 32


class FecSender:
    """Sums up originals, each once and in order.

    Parities of even columns are all complete at the end of their matrix. They leave one by one during the next,
    as ST 2022-1 wants it: a burst that hits the end of a matrix would else take the parities with it.
    """

    def __init__(self, fec: RistFec, *, payload_type: int, in_rtp: bool = True) -> None:
        self._in_rtp = in_rtp
        self._layout = fec.as_layout()
        self._payload_type = payload_type
        self._encode = fec_2022_1.encode_fec if fec.standard == "2022-1" else fec_2022_5.encode_fec
        self._base_mask = (
            1 << (fec_2022_1.BASE_BITS if fec.standard == "2022-1" else fec_2022_5.BASE_BITS)
        ) - 1
        self._encoder: Encoder | None = None
        self._next = {FEC_COLUMN: 0, FEC_ROW: 0}
        self._columns: deque[Parity] = deque()
        self._spread = self._layout.has_columns and not self._layout.is_staircase
        self._since_column = 0
        self.sent = 0
        """Parities."""
        self.sent_bytes = 0

    def feed(
        self, payloads: Sequence[Buffer], *, first: int, timestamp: int
    ) -> list[tuple[int, list[Buffer]]]:
        """Take in media that leaves now; the parities to send beside it, by their kind.

        They are RTP packets, or without ``in_rtp`` what would be the payload of one.
        """
        encoder = self._encoder
        if encoder is None:
            encoder = self._encoder = Encoder(self._layout, first=first)
        fields = self._payload_type << _TIMESTAMP_BITS | timestamp
        leaving: dict[int, list[Buffer]] = {FEC_COLUMN: [], FEC_ROW: []}
        for sequence, payload in enumerate(payloads, first):
            finished = encoder.feed(sequence, payload, fields)
            if self._spread:
                # Before this packet's own parities: what is complete now waits for the next matrix.
                self._since_column += 1
                if self._columns and self._since_column >= self._layout.rows:
                    self._since_column = 0
                    leaving[FEC_COLUMN].append(self._datagram(self._columns.popleft(), FEC_COLUMN, timestamp))
            for parity in finished:
                if parity.line.step == 1 and self._layout.has_rows:
                    leaving[FEC_ROW].append(self._datagram(parity, FEC_ROW, timestamp))
                elif self._spread:
                    self._columns.append(parity)
                else:
                    leaving[FEC_COLUMN].append(self._datagram(parity, FEC_COLUMN, timestamp))
        return [(path, datagrams) for path, datagrams in leaving.items() if datagrams]

    def _datagram(self, parity: Parity, path: int, timestamp: int) -> bytes:
        number = self._next[path]
        self._next[path] = number + 1 & _SEQUENCE_MASK
        line = parity.line
        datagram = pack_header(PARITY_TYPE, number, timestamp, _SSRC) if self._in_rtp else b""
        datagram += self._encode(
            FecPacket(
                base=line.base & self._base_mask,
                offset=line.step,
                number=line.size,
                timestamp=parity.fields & _TIMESTAMP_MASK,
                length=parity.length,
                body=parity.body,
                is_row=path == FEC_ROW,
                header=parity.fields >> _TIMESTAMP_BITS,
            )
        )
        self.sent += 1
        self.sent_bytes += len(datagram)
        return datagram
