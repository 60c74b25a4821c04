"""One listening port for peers of any profile: the first bytes of what they say tell which one they speak.

Simple has RTP on the port and RTCP on the one above, Main has GRE, Advanced has RTP of a payload type of its own and
goes over from Main. So there are two translators here, Simple's and Advanced's, which speaks Main as well; the peer
that the session belongs to decides which of them is in charge, and until it is gone the other one hears nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from typing import Final

from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.primitives.time import Micros
from terzetto.rist.core.advanced import AdvancedTranslator
from terzetto.rist.core.advanced_timeline import SendTimeline
from terzetto.rist.core.counters import AdvancedState
from terzetto.rist.core.fec_receiver import FecReceiver
from terzetto.rist.core.forms import parted
from terzetto.rist.core.profile import FEEDBACK, Admits, Translator
from terzetto.rist.core.rtcp_translation import NackType
from terzetto.rist.core.simple import SimpleTranslator
from terzetto.rist.core.vocabulary import Feedback, FeedbackArrival, MediaArrival, ParityArrival, SourceReport
from terzetto.rist.events import ClearTextRefused, RistEvent, RistPacket
from terzetto.rist.wire.advanced_header import looks_like_advanced
from terzetto.rtp.header import VERSION_BITS, VERSION_MASK

__all__ = ["AutoTranslator", "looks_like_simple"]

# How many peers that speak in the clear to who has a secret are remembered, to say so of each only once.
_REMEMBERED: Final = 64


def looks_like_simple(datagram: Buffer) -> bool:
    """Whether a datagram at the media port can be nothing but Simple's RTP."""
    return (
        len(datagram) > 0 and datagram[0] & VERSION_MASK == VERSION_BITS and not looks_like_advanced(datagram)
    )


class AutoTranslator:
    """Speaks the profile of whoever calls."""

    def __init__(self, simple: SimpleTranslator, tunnel: AdvancedTranslator, *, refuses_simple: bool) -> None:
        self._simple = simple
        self.tunnel = tunnel
        self._refuses_simple = refuses_simple
        """There are secrets or logins, which Simple knows nothing of."""
        self.chosen: Translator = tunnel
        """Whose peer the session belongs to, or belonged to last."""
        # Our own timestamps are Advanced's; Simple's are made of them.
        self.clock_rate = tunnel.clock_rate
        self.sequence_bits = tunnel.sequence_bits
        self._timeline = SendTimeline(simple.clock_rate)
        self._admits: Admits | None = None
        self._refused: set[str] = set()
        self._dropped: Counter[str] = Counter()
        self._events: list[RistEvent] = []

    # -- which one -----------------------------------------------------------------------------------------------

    def decode(
        self, runs: Sequence[Run], *, now: Micros
    ) -> list[MediaArrival | FeedbackArrival | ParityArrival]:
        """What *runs* say, as far as it is of the profile that the session's peer speaks."""
        assert self._admits is not None
        arrivals: list[MediaArrival | FeedbackArrival | ParityArrival] = []
        for run in runs:
            for is_simple, part in _parted(run):
                translator: Translator = self._simple if is_simple else self.tunnel
                if is_simple and self._refuses_simple:
                    self._refuse(part)
                elif translator is not self.chosen and (arrivals or self._admits.is_alive):
                    self._dropped["of another profile than the session's"] += len(part.datagrams)
                else:
                    said = translator.decode([part], now=now)
                    if said:
                        self.chosen = translator
                        arrivals += said
        return arrivals

    def _refuse(self, run: Run) -> None:
        self._dropped["RIST Simple, which neither encrypts nor authenticates"] += len(run.datagrams)
        # By host: it has two ports, and the event is about what is set up there.
        if run.peer.host not in self._refused and len(self._refused) < _REMEMBERED:
            self._refused.add(run.peer.host)
            self._events.append(ClearTextRefused(run.peer))

    # -- of both -------------------------------------------------------------------------------------------------

    @property
    def sender_longest(self) -> Micros | None:
        """What was said in the tunnel."""
        return self.tunnel.sender_longest

    def tell_buffer(self, buffer: Micros) -> None:
        """In the tunnel, where there is one."""
        self.tunnel.tell_buffer(buffer)

    @property
    def tells_streams(self) -> bool:
        """The tunnel's word."""
        return self.tunnel.tells_streams

    @tells_streams.setter
    def tells_streams(self, tells_streams: bool) -> None:
        self.tunnel.tells_streams = tells_streams

    @property
    def nack_type(self) -> NackType:
        """Which form of request to send."""
        return self._simple.nack_type

    @nack_type.setter
    def nack_type(self, nack_type: NackType) -> None:
        self._simple.nack_type = self.tunnel.nack_type = nack_type

    @property
    def dropped(self) -> dict[str, int]:
        """What was not understood, or not let in, by reason."""
        return self._dropped + Counter(self._simple.dropped) + Counter(self.tunnel.dropped)

    @property
    def pins_port(self) -> bool:
        """Nobody is called."""
        return False

    @property
    def may_move(self) -> bool:
        """Whether a silent peer may go on from another port."""
        return self.tunnel.may_move

    def start(self, admits: Admits, *, now: Micros) -> None:
        """A listener waits."""
        self._admits = admits
        self.tunnel.start(admits, now=now)

    def forget_peer(self, *, now: Micros) -> None:
        """The next one may speak another profile."""
        self.tunnel.forget_peer(now=now)

    def close(self, *, now: Micros) -> None:
        """Say goodbye, where the profile has a word for it."""
        self.chosen.close(now=now)

    def handle_timeout(self, *, now: Micros) -> None:
        """Do what is due."""
        self.tunnel.handle_timeout(now=now)

    def next_timeout(self) -> Micros | None:
        """When to call `handle_timeout` next."""
        return self.tunnel.next_timeout()

    def poll_control(self) -> list[Run]:
        """What the tunnel itself has to send; Simple has nothing."""
        return self.tunnel.poll_control()

    def poll_events(self) -> list[RistEvent]:
        """What the user should know."""
        told, self._events = self._events, []
        return told + self.tunnel.poll_events()

    # -- of the one in charge ------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        """Whether media may flow."""
        return self.chosen.is_open

    @property
    def username(self) -> str:
        """Who the peer proved to be."""
        return self.chosen.username

    @property
    def peer_splits(self) -> bool:
        """Whether the peer says that it sends every payload as two packets."""
        return self.chosen.peer_splits

    @property
    def is_enciphered(self) -> bool:
        """Whether what we send is."""
        return self.chosen.is_enciphered

    @property
    def key_rotations(self) -> int:
        """How often what we send has got a new key."""
        return self.chosen.key_rotations

    @property
    def fec_receiver(self) -> FecReceiver | None:
        """Who hears parities of what is on the wire."""
        return self.chosen.fec_receiver

    @property
    def parities_sent(self) -> tuple[int, int]:
        """How many of those have left, and their bytes."""
        return self.chosen.parities_sent

    @property
    def parity_paths(self) -> Container[int]:
        """The endpoints are Simple's, and whoever speaks sends parities to the same ports."""
        return self._simple.parity_paths

    @property
    def advanced_state(self) -> AdvancedState | None:
        """What only the Advanced profile has."""
        return self.chosen.advanced_state

    @property
    def feedback_path(self) -> int:
        """The endpoint that reports leave by."""
        return self.chosen.feedback_path

    def check_payloads(self, payloads: Sequence[Buffer]) -> None:
        """Raise InvalidOption where one of them is too long to travel."""
        self.chosen.check_payloads(payloads)

    def prepare_media(self, payloads: Sequence[Buffer]) -> Sequence[Buffer]:
        """The payloads of packets that carry *payloads*."""
        return self.chosen.prepare_media(payloads)

    def assemble(self, packets: list[RistPacket]) -> list[RistPacket]:
        """What the user gets of packets."""
        return self.chosen.assemble(packets)

    def assemble_expedited(self, packets: list[RistPacket]) -> list[RistPacket]:
        """What the user gets of packets that are handed out before their turn."""
        return self.chosen.assemble_expedited(packets)

    def encode_media(
        self,
        payloads: Sequence[Buffer],
        *,
        first_sequence: int,
        timestamp: int,
        flow_id: int,
        is_retransmission: bool = False,
    ) -> list[Buffer]:
        """Datagrams for consecutive *payloads* that share a timestamp."""
        if self.chosen is self._simple:
            timestamp = self._timeline.ticks(timestamp)
        return self.chosen.encode_media(
            payloads,
            first_sequence=first_sequence,
            timestamp=timestamp,
            flow_id=flow_id,
            is_retransmission=is_retransmission,
        )

    def encode_parities(
        self, kind: int, packets: list[Buffer], media: Address
    ) -> tuple[Address, int, list[Buffer]]:
        """Where parities of that *kind* go, and as what."""
        return self.chosen.encode_parities(kind, packets, media)

    def encode_feedback(self, said: Sequence[Feedback]) -> list[Buffer]:
        """Datagrams that say all of it to one peer."""
        if self.chosen is self._simple:
            said = [
                each._replace(timestamp=self._timeline.ticks(each.timestamp))
                if isinstance(each, SourceReport)
                else each
                for each in said
            ]
        return self.chosen.encode_feedback(said)

    def feedback_address(self, media: Address) -> Address:
        """Where a peer that has *media* as its media address hears reports."""
        return self.chosen.feedback_address(media)

    def media_address(self, feedback: Address) -> Address:
        """Where a peer that has *feedback* as its report address hears media."""
        return self.chosen.media_address(feedback)


def _parted(run: Run) -> list[tuple[bool, Run]]:
    """A run in parts that are Simple's or not; mostly there is one part."""
    if run.path == FEEDBACK:
        return [(True, run)]
    return parted(run, looks_like_simple)
