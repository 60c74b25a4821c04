"""The Simple profile on the wire (TR-06-1): RTP on an even port, RTCP on the odd one above."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.primitives.time import Micros
from terzetto.rist.core.clock_rates import clock_rate
from terzetto.rist.core.profile import FEC_OFFSETS, FEEDBACK, MEDIA, Admits
from terzetto.rist.core.rtcp_translation import NackType, compound_from_feedback, feedback_from_compound
from terzetto.rist.core.rtp_translation import extended_rtp_from_media, media_from_rtp, rtp_from_media
from terzetto.rist.core.vocabulary import Feedback, FeedbackArrival, MediaArrival, ParityArrival
from terzetto.rist.events import RistEvent, RistPacket

__all__ = ["SimpleTranslator"]


class SimpleTranslator:
    """Speaks the Simple profile; holds nothing but counters."""

    feedback_path = FEEDBACK
    parity_paths = FEC_OFFSETS
    peer_splits = False
    pins_port = False
    may_move = True
    is_open = True
    username = ""
    is_enciphered = False
    key_rotations = 0
    fec_receiver = None
    parities_sent = (0, 0)
    advanced_state = None

    def __init__(self, *, payload_type: int, nack_type: NackType, extend_sequence: bool = False) -> None:
        self._payload_type = payload_type
        self._extend_sequence = extend_sequence
        self.sequence_bits = 32 if extend_sequence else 16
        self.nack_type: NackType = nack_type
        self.tells_streams = False
        self.sender_longest: Micros | None = None
        self.clock_rate = clock_rate(payload_type)
        self.dropped: Counter[str] = Counter()

    def decode(
        self, runs: Sequence[Run], *, now: Micros
    ) -> list[MediaArrival | FeedbackArrival | ParityArrival]:
        """What *runs* say; the endpoint they came by tells media from reports."""
        arrivals: list[MediaArrival | FeedbackArrival | ParityArrival] = []
        for peer, datagrams, path, local in runs:
            if path == MEDIA:
                arrivals += [
                    MediaArrival(peer, path, local, flow_id, packets, clock_rate(kind), bits)
                    for flow_id, kind, bits, packets in media_from_rtp(datagrams, self.dropped)
                ]
                continue
            for datagram in datagrams:
                said = feedback_from_compound(datagram, self.dropped)
                if said:
                    arrivals.append(FeedbackArrival(peer, path, local, said))
        return arrivals

    def encode_media(
        self,
        payloads: Sequence[Buffer],
        *,
        first_sequence: int,
        timestamp: int,
        flow_id: int,
        is_retransmission: bool = False,
    ) -> list[Buffer]:
        """RTP packets; the SSRC's lowest bit marks repeats."""
        if self._extend_sequence:
            return extended_rtp_from_media(
                payloads,
                payload_type=self._payload_type,
                first_sequence=first_sequence,
                timestamp=timestamp,
                ssrc=flow_id | is_retransmission,
                delete_nulls=False,
                extend_sequence=True,
            )
        return rtp_from_media(
            payloads,
            payload_type=self._payload_type,
            first_sequence=first_sequence,
            timestamp=timestamp,
            ssrc=flow_id | is_retransmission,
        )

    def encode_parities(
        self, kind: int, packets: list[Buffer], media: Address
    ) -> tuple[Address, int, list[Buffer]]:
        """Parities have ports of their own, two and four above the media's."""
        return Address(media.host, media.port + FEC_OFFSETS[kind]), kind, packets

    def encode_feedback(self, said: Sequence[Feedback]) -> list[Buffer]:
        """One RTCP compound."""
        return [compound_from_feedback(said, nack_type=self.nack_type)]

    def feedback_address(self, media: Address) -> Address:
        """Reports go to the port above the media."""
        return Address(media.host, media.port + 1)

    def media_address(self, feedback: Address) -> Address:
        """Media goes to the port below the reports."""
        return Address(feedback.host, feedback.port - 1)

    # -- the profile has nothing to say of its own ---------------------------------------------------------------

    def start(self, admits: Admits, *, now: Micros) -> None:
        """There is nothing to begin."""

    def forget_peer(self, *, now: Micros) -> None:
        """There is nothing to forget."""

    def close(self, *, now: Micros) -> None:
        """RTCP's BYE is all there is."""

    def handle_timeout(self, *, now: Micros) -> None:
        """Nothing is ever due."""

    def next_timeout(self) -> Micros | None:
        """Nothing is ever due."""
        return None

    def poll_control(self) -> list[Run]:
        """Nothing."""
        return []

    def poll_events(self) -> list[RistEvent]:
        """Nothing."""
        return []

    def prepare_media(self, payloads: Sequence[Buffer]) -> Sequence[Buffer]:
        """Every payload is a packet."""
        return payloads

    def assemble(self, packets: list[RistPacket]) -> list[RistPacket]:
        """Every packet is a payload."""
        return packets

    def assemble_expedited(self, packets: list[RistPacket]) -> list[RistPacket]:
        """There are none."""
        return packets

    def tell_buffer(self, buffer: Micros) -> None:
        """Nobody would understand."""

    def check_payloads(self, payloads: Sequence[Buffer]) -> None:
        """Whatever fits into a datagram."""
