"""LQM: the link quality message of TR-06-4 Part 1, by which a sender learns to adapt its rate.

::

    0   sequence number                    6   packets recovered
    1   reporting period, ms               7   packets unrecovered
    2   NACK window, ms                    8   packets late
    3   source packets received            9   data bandwidth, kbit/s
    4   original packets lost              10  retransmission bandwidth, kbit/s
    5   retransmitted packets received

Eleven 32-bit words; every counter is of the reporting period alone. In the Simple and Main profiles the
message is the profile-specific extension of a receiver report without blocks; Advanced has a control message
for it.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, Self

from attrs import astuple, frozen

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer
from terzetto.rtp.receiver_report import ReceiverReport

__all__ = ["LQM_SIZE", "LinkQuality"]

_LQM: Final = Struct("!11I")

LQM_SIZE: Final = 44


@frozen(kw_only=True)
class LinkQuality:
    """What a receiver saw of a link during one reporting period."""

    sequence: int
    period_ms: int
    nack_window_ms: int
    source_received: int
    original_lost: int
    retransmitted_received: int
    recovered: int
    unrecovered: int
    late: int
    data_kbps: int
    retransmission_kbps: int

    def encode(self) -> bytes:
        """The 44 bytes of the message."""
        return _LQM.pack(*astuple(self))

    @classmethod
    def decode(cls, data: Buffer) -> Self:
        """Parse the eleven words; MalformedPacket is the only way to fail."""
        if len(data) != LQM_SIZE:
            raise MalformedPacket("link quality message is not 44 bytes long")
        (
            sequence, period_ms, nack_window_ms, source_received, original_lost, retransmitted_received,
            recovered, unrecovered, late, data_kbps, retransmission_kbps,
        ) = _LQM.unpack(data)  # fmt: skip
        return cls(
            sequence=sequence,
            period_ms=period_ms,
            nack_window_ms=nack_window_ms,
            source_received=source_received,
            original_lost=original_lost,
            retransmitted_received=retransmitted_received,
            recovered=recovered,
            unrecovered=unrecovered,
            late=late,
            data_kbps=data_kbps,
            retransmission_kbps=retransmission_kbps,
        )

    def to_report(self, ssrc: int) -> ReceiverReport:
        """The receiver report that carries this message in the Simple and Main profiles."""
        return ReceiverReport(ssrc, extension=self.encode())

    @classmethod
    def from_report(cls, report: ReceiverReport) -> Self | None:
        """The message in *report*, or None where its extension is absent or something else."""
        return cls.decode(report.extension) if len(report.extension) == LQM_SIZE else None
