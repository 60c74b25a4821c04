"""What comes out of the tunnel, once deciphered, as what it says: media, feedback, signs of life, and the rest."""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Final, TypeAlias

from terzetto.errors import MalformedPacket
from terzetto.primitives.datagrams import Buffer, Run
from terzetto.rist.core.clock_rates import clock_rate
from terzetto.rist.core.rtcp_translation import feedback_from_compound
from terzetto.rist.core.rtp_translation import media_from_rtp
from terzetto.rist.core.stream_payload import StreamPayload
from terzetto.rist.core.vocabulary import FeedbackArrival, Goodbye, MediaArrival, ParityArrival, SourceReport
from terzetto.rist.events import OutOfBandReceived
from terzetto.rist.wire.buffer_negotiation import BufferNegotiation
from terzetto.rist.wire.fec_packet import PARITY_TYPE
from terzetto.rist.wire.gre import REDUCED, VSF
from terzetto.rist.wire.keepalive import Capability, Keepalive
from terzetto.rist.wire.virtual_ports import PORTS_SIZE, VirtualPorts
from terzetto.rist.wire.vsf import VSF_SIZE, TunnelContent, decode_future_nonce, unwrap

__all__ = ["Arrivals", "TunnelReading"]

Arrivals: TypeAlias = list[MediaArrival | FeedbackArrival | ParityArrival]

_REPORT_TYPES: Final = frozenset(each | marker for each in range(72, 80) for marker in (0, 0x80))
_VSF_DATA: Final = bytes(VSF_SIZE)


class TunnelReading:
    """The findings of one run of datagrams that have one header."""

    __slots__ = (
        "_dropped",
        "_parity_ports",
        "_run",
        "_tells_streams",
        "arrivals",
        "future_nonces",
        "keepalives",
        "negotiations",
        "out_of_band",
        "report_source",
        "sense",
    )

    def __init__(
        self,
        run: Run,
        dropped: Counter[str],
        parity_ports: frozenset[bytes] = frozenset(),
        *,
        tells_streams: bool = False,
    ) -> None:
        self._run = run
        self._tells_streams = tells_streams
        self._parity_ports = parity_ports
        self._dropped = dropped
        self.arrivals: Arrivals = []
        self.negotiations: list[BufferNegotiation] = []
        self.future_nonces: list[bytes] = []
        self.keepalives: list[Buffer] = []
        self.out_of_band: list[OutOfBandReceived] = []
        self.report_source: int | None = None
        """The virtual port that a media sender reports from."""
        self.sense = 0
        """How many datagrams could be understood, goodbyes not counted: nobody begins with one."""

    def read(self, protocol_type: int, plains: list[Buffer]) -> None:
        """Take in payloads of that GRE protocol type; what makes no sense is counted and left out."""
        if protocol_type == REDUCED:
            self._read_data(plains, PORTS_SIZE)
        elif protocol_type == VSF and {bytes(plain[:VSF_SIZE]) for plain in plains} == {_VSF_DATA}:
            self._read_data(plains, VSF_SIZE + PORTS_SIZE)
        else:
            for plain in plains:
                self._read_one(protocol_type, plain)

    def _read_one(self, protocol_type: int, plain: Buffer) -> None:
        try:
            content, body = unwrap(protocol_type, plain)
            if content is TunnelContent.DATA:
                self._read_data([body], PORTS_SIZE)
                return
            if content is TunnelContent.KEEPALIVE:
                self._read_keepalive(Keepalive.decode(body))
                self.keepalives.append(body)
                return
            if content is TunnelContent.FUTURE_NONCE:
                self.future_nonces.append(decode_future_nonce(body))
            elif content is TunnelContent.BUFFER_NEGOTIATION:
                self.negotiations.append(BufferNegotiation.decode(body))
            else:
                self.out_of_band.append(OutOfBandReceived(protocol_type, bytes(body)))
            self.sense += 1
        except MalformedPacket as malformed:
            self._dropped[malformed.reason] += 1

    def _read_data(self, plains: list[Buffer], start: int) -> None:
        at = start + 1
        if min(map(len, plains)) <= at:
            self._dropped["shorter than its headers"] += sum(len(plain) <= at for plain in plains)
            plains = [plain for plain in plains if len(plain) > at]
        if _REPORT_TYPES.isdisjoint([plain[at] for plain in plains]):
            self._read_media(plains, start)
            return
        media: list[Buffer] = []
        for plain in plains:
            if plain[at] not in _REPORT_TYPES:
                media.append(plain)
                continue
            self._read_media(media, start)
            media = []
            self._read_report(plain, start)
        self._read_media(media, start)

    def _read_media(self, plains: list[Buffer], start: int) -> None:
        if self._parity_ports:
            plains = self._take_parities(plains, start)
        if self._tells_streams:
            for ports, its in groupby(plains, lambda plain: bytes(plain[start - PORTS_SIZE : start])):
                self._read_stream(list(its), start, VirtualPorts.decode(ports))
        else:
            self._read_stream(plains, start, None)

    def _read_stream(self, plains: list[Buffer], start: int, ports: VirtualPorts | None) -> None:
        if plains:
            peer, _, path, local = self._run
            for flow_id, kind, bits, packets in media_from_rtp(plains, self._dropped, start=start):
                if kind == PARITY_TYPE and not flow_id:
                    self._dropped["parity, and fec is not set"] += len(packets)
                    continue
                if ports is not None:
                    packets = [
                        (sequence, timestamp, StreamPayload.of(payload, ports), is_repeat)
                        for sequence, timestamp, payload, is_repeat in packets
                    ]
                self.arrivals.append(
                    MediaArrival(peer, path, local, flow_id, packets, clock_rate(kind), bits)
                )
                self.sense += len(packets)

    def _take_parities(self, plains: list[Buffer], start: int) -> list[Buffer]:
        """Take out what goes to the ports of parities; what is left is media."""
        ports = self._parity_ports
        parities = [plain[start:] for plain in plains if bytes(plain[start - 2 : start]) in ports]
        if not parities:
            return plains
        peer, _, path, local = self._run
        self.arrivals.append(ParityArrival(peer, path, local, parities))
        self.sense += len(parities)
        return [plain for plain in plains if bytes(plain[start - 2 : start]) not in ports]

    def _read_report(self, plain: Buffer, start: int) -> None:
        said = feedback_from_compound(plain[start:], self._dropped)
        if not said:
            return
        peer, _, path, local = self._run
        self.arrivals.append(FeedbackArrival(peer, path, local, said))
        self.sense += 1
        if isinstance(said[0], SourceReport):
            self.report_source = VirtualPorts.decode(plain[start - PORTS_SIZE : start]).source

    def _read_keepalive(self, keepalive: Keepalive) -> None:
        peer, _, path, local = self._run
        if Capability.DISCONNECT in keepalive.capabilities:
            self.arrivals.append(FeedbackArrival(peer, path, local, [Goodbye(0)]))
        else:
            self.arrivals.append(FeedbackArrival(peer, path, local, []))
            self.sense += 1
