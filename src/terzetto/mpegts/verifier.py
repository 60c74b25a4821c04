"""The other end of the generator: what became of its stream on the way."""

from __future__ import annotations

from attrs import define, field

from terzetto.mpegts.alignment import PacketAligner
from terzetto.mpegts.generator import DATA_PID, NUMBER, PES_HEADER_SIZE, data_header, make_pool, pool_start
from terzetto.mpegts.packet import PACKET_SIZE, read_pid
from terzetto.primitives.datagrams import Buffer

__all__ = ["TsVerifier"]


@define
class TsVerifier:
    """Says what became of a generated stream on its way; only the seed must be known.

    ``missing`` counts data packets that did not come before a later one did, ``repeated`` those that came
    again or out of their order, ``corrupt`` those whose bytes are not what their number says. Where a
    receiver joins late, the count begins at the first packet it sees.
    """

    seed: int = 0
    packets: int = 0
    data_packets: int = 0
    missing: int = 0
    repeated: int = 0
    corrupt: int = 0
    _pool: bytes = field(init=False, repr=False)
    _expected: int | None = field(init=False, default=None)
    _aligner: PacketAligner = field(init=False, repr=False, factory=PacketAligner)

    def __attrs_post_init__(self) -> None:
        self._pool = make_pool(self.seed)

    @property
    def discarded(self) -> int:
        """Bytes that belonged to no packet."""
        return self._aligner.discarded

    @property
    def is_intact(self) -> bool:
        """Whether data came, and all of it as it was sent."""
        faults = self.missing or self.repeated or self.corrupt or self.discarded
        return bool(self.data_packets) and not faults

    def feed(self, data: Buffer) -> None:
        """Look at the next bytes of the stream, however they were cut."""
        self._check(self._aligner.feed(data))

    def finish(self) -> None:
        """Look at what was held back until more would come."""
        self._check(self._aligner.finish())

    def _check(self, aligned: bytes) -> None:
        self.packets += len(aligned) // PACKET_SIZE
        for start in range(0, len(aligned), PACKET_SIZE):
            if read_pid(aligned, start) == DATA_PID:
                self.data_packets += 1
                self._check_data(aligned[start : start + PACKET_SIZE])

    def _check_data(self, packet: bytes) -> None:
        at = 4 + (PES_HEADER_SIZE if packet[1] & 0x40 else 0)
        (number,) = NUMBER.unpack_from(packet, at)
        body = packet[at + NUMBER.size :]
        start = pool_start(number)
        if packet[:4] != data_header(number) or body != self._pool[start : start + len(body)]:
            # Its number cannot be believed either; it stands for the one that was expected.
            self.corrupt += 1
            self._expected = None if self._expected is None else self._expected + 1
            return
        expected = self._expected
        if expected is not None and number < expected:
            self.repeated += 1
            return
        if expected is not None:
            self.missing += number - expected
        self._expected = number + 1
