"""RTP without reports (RFC 3550, and RFC 2250 for MPEG-TS): a header added on the way out, stripped on the way in.

Nothing is repeated and nothing put in order; what is missing, by the sequence numbers, is counted.
"""

from __future__ import annotations

from typing import Final

import trio

from terzetto.errors import MalformedPacket
from terzetto.gateway.contract import Batch, InputSettings, Json, Report, Sink, SinkPlan, Source, SourcePlan
from terzetto.gateway.udp import (
    UdpSink,
    UdpSource,
    open_input_endpoint,
    open_output_endpoint,
    read_common_query,
    refuse_listening_output,
)
from terzetto.net.endpoint import DatagramEndpoint
from terzetto.net.network import current_network
from terzetto.primitives.datagrams import Address, Buffer
from terzetto.rtp.header import (
    FIXED_HEADER,
    FIXED_HEADER_SIZE,
    PAYLOAD_TYPE_MASK,
    PLAIN_FIRST_BYTE,
    RtpPacket,
    looks_like_rtcp,
)
from terzetto.url import EndpointUrl, QueryReader

__all__ = ["RtpSink", "RtpSource", "plan_sink", "plan_source"]

_CLOCK: Final = 90_000
_MP2T: Final = 33  # RFC 3551

_MASK_16: Final = 0xFFFF
_MASK_32: Final = 0xFFFF_FFFF

# A sequence that is this far ahead is a new beginning and no loss (RFC 3550, appendix A.1, MAX_DROPOUT).
_MOST_MISSING: Final = 3000


class RtpSource(UdpSource):
    """Payloads of RTP packets."""

    def __init__(self, endpoint: DatagramEndpoint, *, tick: float) -> None:
        super().__init__(endpoint, tick=tick)
        self._expected: int | None = None
        self._missing = 0
        self._dropped = 0

    async def receive(self) -> Batch:
        """The payloads of what has arrived."""
        while True:
            arrived = await super().receive()
            payloads = [payload for datagram in arrived.payloads if (payload := self._strip(datagram))]
            if payloads:
                return Batch(payloads)

    def statistics(self) -> dict[str, Json]:
        """The socket's counters, and what the sequence numbers tell."""
        return {**super().statistics(), "missing": self._missing, "malformed": self._dropped}

    def _strip(self, datagram: Buffer) -> Buffer | None:
        if len(datagram) >= FIXED_HEADER_SIZE:
            first, _, sequence, _, _ = FIXED_HEADER.unpack_from(datagram)
            if first == PLAIN_FIRST_BYTE and not looks_like_rtcp(datagram):
                self._follow(sequence)
                return datagram[FIXED_HEADER_SIZE:]
        try:
            packet = RtpPacket.decode(datagram)
        except MalformedPacket:
            self._dropped += 1
            return None
        if looks_like_rtcp(datagram):
            return None
        self._follow(packet.sequence)
        return packet.payload

    def _follow(self, sequence: int) -> None:
        expected = self._expected
        self._expected = (sequence + 1) & _MASK_16
        if expected is None or sequence == expected:
            return
        ahead = (sequence - expected) & _MASK_16
        if ahead < _MOST_MISSING:
            self._missing += ahead
        elif ahead > _MASK_16 - _MOST_MISSING:
            # A straggler, counted as missing before; the sequence goes on from where it was.
            self._missing = max(self._missing - 1, 0)
            self._expected = expected


class RtpSink(UdpSink):
    """Payloads in RTP packets, stamped with the moment they leave."""

    def __init__(
        self, endpoint: DatagramEndpoint, peer: Address, report: Report, *, payload_type: int, entropy: bytes
    ) -> None:
        super().__init__(endpoint, peer, report)
        self._payload_type = payload_type & PAYLOAD_TYPE_MASK
        # Random beginnings, as RFC 3550 5.1 asks.
        self._ssrc = int.from_bytes(entropy[:4], "big")
        self._sequence = int.from_bytes(entropy[4:6], "big")
        self._offset = int.from_bytes(entropy[6:10], "big")

    def send_nowait(self, batch: Batch) -> Batch | None:
        """Send what the socket takes."""
        sequence = self._sequence
        rest = super().send_nowait(self._wrap(batch))
        if rest is None:
            return None
        taken = len(batch.payloads) - len(rest.payloads)
        self._sequence = (sequence + taken) & _MASK_16
        return Batch(batch.payloads[taken:], batch.source_time)

    async def send(self, batch: Batch) -> None:
        """Send all of it."""
        await super().send(self._wrap(batch))

    def _wrap(self, batch: Batch) -> Batch:
        moment = trio.current_time() if batch.source_time is None else batch.source_time
        timestamp = (round(moment * _CLOCK) + self._offset) & _MASK_32
        pack, kind, ssrc, sequence = FIXED_HEADER.pack, self._payload_type, self._ssrc, self._sequence
        packets = [
            b"".join((pack(PLAIN_FIRST_BYTE, kind, (sequence + index) & _MASK_16, timestamp, ssrc), payload))
            for index, payload in enumerate(batch.payloads)
        ]
        self._sequence = (sequence + len(packets)) & _MASK_16
        return Batch(packets, batch.source_time)


def plan_source(url: EndpointUrl, settings: InputSettings) -> SourcePlan:
    """Receive RTP at *url*."""
    del settings
    reader = QueryReader(url)
    options = read_common_query(reader, is_input=True)
    reader.finish()

    async def open_source(nursery: trio.Nursery, report: Report) -> Source:
        del nursery
        return RtpSource(await open_input_endpoint(url, options, report), tick=options.tick)

    return SourcePlan(url, open_source)


def plan_sink(url: EndpointUrl) -> SinkPlan:
    """Send RTP to *url*."""
    refuse_listening_output(url)
    reader = QueryReader(url)
    options = read_common_query(reader, is_input=False)
    payload_type = reader.integer("rtp-ptype", 0, 127)
    reader.finish()

    async def open_sink(nursery: trio.Nursery, report: Report) -> Sink:
        del nursery
        endpoint, peer = await open_output_endpoint(url, options)
        return RtpSink(
            endpoint,
            peer,
            report,
            payload_type=_MP2T if payload_type is None else payload_type,
            entropy=current_network().entropy(10),
        )

    return SinkPlan(url, open_sink)
