"""The other end of a session: its address, its round trip, and what to tell it.

Sender and receiver both have one. It answers echoes, keeps the clocks that reports need, and knows when the peer is
lost; what media means is none of its business.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from terzetto.primitives.datagrams import Address, EntropySource
from terzetto.primitives.time import Micros, seconds
from terzetto.rist.core.association import Admission, Association
from terzetto.rist.core.counters import PeerCounters
from terzetto.rist.core.profile import MEDIA, Translator
from terzetto.rist.core.round_trip import RoundTrip
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.vocabulary import (
    Description,
    EchoRequest,
    EchoResponse,
    Feedback,
    Goodbye,
    ReceiverTime,
    ReceiverTimeAnswer,
    ReceptionReport,
    SourceReport,
)
from terzetto.rist.events import PeerConnected, PeerLost, PeerMoved, RistEvent, StrangerIgnored
from terzetto.rtp.ntp import delay_units, middle_32, ntp_from_unix

__all__ = ["Peer"]

# An echo is answered with as many bytes as it had, and no more often than this many times between two of our
# reports, so that nobody bounces traffic off us.
_ECHOES_PER_BEAT: Final = 20


class Peer:
    """What a session knows of its other end."""

    def __init__(
        self,
        settings: Settings,
        *,
        ssrc: int,
        wall_clock_offset: Micros,
        remote: Address | None,
        translator: Translator,
        entropy: EntropySource,
    ) -> None:
        self.association = Association(
            timeout=settings.session_timeout,
            rebind_silence=settings.rebind_silence if translator.may_move else None,
            host=remote.host if remote is not None else None,
            port=remote.port if remote is not None and translator.pins_port else None,
        )
        self._on_loss: Callable[..., None] = translator.forget_peer
        self.round_trip = RoundTrip(initial=settings.rtt_min)
        self.counters = PeerCounters()
        self.cname = ""
        self.ssrc = ssrc
        """What we call ourselves in reports."""
        self._cname = settings.cname
        self._wall_clock_offset = wall_clock_offset
        # Echo tokens carry a secret start, so that only who saw a question can answer it.
        self._token_base = int.from_bytes(entropy(8), "big")
        self._echo_ssrc = int.from_bytes(entropy(4), "big")
        self._echo_allowance = _ECHOES_PER_BEAT
        self._last_report: tuple[int, Micros] | None = None
        self._last_receiver_time: tuple[int, int, Micros] | None = None
        self._announced = False
        self._events: list[RistEvent] = []

    # -- who is it -----------------------------------------------------------------------------------------------

    def admit(self, address: Address, channel: int, *, now: Micros, datagrams: int = 1) -> bool:
        """Whether to listen to so many datagrams from *address*."""
        before = self.association.any_address()
        admission = self.association.admit(address, channel, now=now, datagrams=datagrams)
        if admission is Admission.KNOWN:
            return True
        if admission is Admission.MOVED and before is not None:
            self._events.append(PeerMoved(address, before))
        elif admission is Admission.STRANGER and before is not None:
            self._events.append(StrangerIgnored(address, before))
        return admission.is_welcome

    @property
    def is_alive(self) -> bool:
        """Whether the session belongs to somebody."""
        return self.association.is_alive

    def may_speak(self, address: Address, *, now: Micros, datagrams: int) -> bool:
        """Whether so many datagrams from *address* may be looked at; admits nobody, but counts strangers."""
        if self.association.would_admit(address, MEDIA, now=now):
            return True
        return self.admit(address, MEDIA, now=now, datagrams=datagrams)

    @property
    def is_connected(self) -> bool:
        """Whether the peer has been heard, and announced as connected."""
        return self._announced

    def announce(self) -> None:
        """Tell the user that the peer is there, once for each time it comes."""
        address = self.association.any_address()
        if not self._announced and address is not None:
            self._announced = True
            self.round_trip.peer_appeared()
            self._events.append(PeerConnected(address, self.cname))

    def expire(self, now: Micros) -> bool:
        """Whether the peer was just lost for its silence."""
        address = self.association.any_address()
        silent_for = self.association.expire(now)
        if silent_for is None or address is None:
            return False
        self._lost(address, silent_for, now)
        return True

    def drop(self, now: Micros) -> None:
        """We can no longer reach the peer: it is lost to us, whatever it does."""
        address = self.association.any_address()
        if address is not None:
            self._lost(address, 0, now)
        self.association.release()

    def _lost(self, address: Address, silent_for: Micros, now: Micros) -> None:
        if self._announced:
            self._events.append(PeerLost(address, seconds(silent_for)))
        self._announced = False
        self._last_report = None
        self._last_receiver_time = None
        self.round_trip.start_over()
        self._on_loss(now=now)

    def poll_events(self) -> list[RistEvent]:
        """What the user should know."""
        events, self._events = self._events, []
        return events

    # -- what it says --------------------------------------------------------------------------------------------

    def handle(self, said: Feedback, *, now: Micros) -> list[Feedback]:
        """Take in one thing that the peer said, where it concerns clocks and names; what to answer at once."""
        if isinstance(said, EchoRequest):
            self.round_trip.echo_spoken = True
            if self._echo_allowance <= 0:
                return []
            self._echo_allowance -= 1
            return [EchoResponse(said.ssrc, said.token, 0, said.padding)]
        if isinstance(said, EchoResponse):
            if said.ssrc == self._echo_ssrc:
                self.round_trip.handle_echo(said.token, said.held_for, now)
        elif isinstance(said, SourceReport):
            self._last_report = (middle_32(said.ntp), now)
        elif isinstance(said, ReceptionReport):
            if said.last_report:
                self.round_trip.handle_report_delay(said.last_report, said.since_last_report, now)
        elif isinstance(said, ReceiverTime):
            self._last_receiver_time = (said.ssrc, middle_32(said.ntp), now)
        elif isinstance(said, ReceiverTimeAnswer):
            self.round_trip.handle_report_delay(said.last_receiver_time, said.since_last, now)
        elif isinstance(said, Description):
            self.cname = said.cname
        elif isinstance(said, Goodbye):
            address = self.association.any_address()
            if address is not None:
                self._lost(address, 0, now)
            self.association.release()
        return []

    # -- what we say ---------------------------------------------------------------------------------------------

    def ntp(self, now: Micros) -> int:
        """Wall-clock time in NTP's format."""
        return ntp_from_unix(now + self._wall_clock_offset)

    def preamble(self) -> list[Feedback]:
        """What opens every compound that answers or asks: an empty report, and our name."""
        return [ReceptionReport(self.ssrc), Description(self.ssrc, self._cname)]

    def source_report(
        self, *, timestamp: int, packets: int, octets: int, now: Micros, often: bool = False
    ) -> list[Feedback]:
        """A media sender's regular report; it asks *often* for an echo where much depends on the answer."""
        ntp = self.ntp(now)
        self.round_trip.reported(middle_32(ntp), now)
        return [
            SourceReport(self.ssrc, ntp, timestamp, packets, octets),
            Description(self.ssrc, self._cname),
            *self._receiver_time_answer(now),
            *self.echo_request(now, often=often),
        ]

    def reception_report(self, block: ReceptionReport | None, *, now: Micros) -> list[Feedback]:
        """A media receiver's regular report; *block* says how reception went."""
        report = ReceptionReport(self.ssrc)
        if block is not None:
            last, since = 0, 0
            if self._last_report is not None:
                last, heard_at = self._last_report
                since = delay_units(now - heard_at)
            report = block._replace(ssrc=self.ssrc, last_report=last, since_last_report=since)
        said: list[Feedback] = [report, Description(self.ssrc, self._cname)]
        if not self.round_trip.echo_answered:
            ntp = self.ntp(now)
            self.round_trip.reported(middle_32(ntp), now)
            said.append(ReceiverTime(self._echo_ssrc, ntp))
        return [*said, *self.echo_request(now)]

    def echo_request(self, now: Micros, *, often: bool = False) -> list[Feedback]:
        """An echo request, where asking makes sense."""
        self._echo_allowance = _ECHOES_PER_BEAT
        if not self.round_trip.may_ask(often=often):
            return []
        token = (self._token_base + now) & 0xFFFF_FFFF_FFFF_FFFF
        self.round_trip.ask(token, now)
        return [EchoRequest(self._echo_ssrc, token)]

    def _receiver_time_answer(self, now: Micros) -> list[Feedback]:
        if self._last_receiver_time is None or self.round_trip.echo_spoken:
            return []
        ssrc, middle, heard_at = self._last_receiver_time
        return [ReceiverTimeAnswer(self.ssrc, ssrc, middle, delay_units(now - heard_at))]
