"""The Advanced profile on the wire (TR-06-3): RTP-shaped packets, control messages, and the Main profile beside them.

An end of this profile is an end of the Main profile that can do more. It begins as one, says in its keepalives what it
can, and goes over to the Advanced form when the peer says the same; reports, logins and data beside the stream stay in
the tunnel, where libRIST looks for them. Whatever form media comes in, the recovery buffer is told of it in one
counting (`advanced_timeline`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Address, Buffer, EntropySource, Run
from terzetto.primitives.time import MICROS_PER_SECOND, Micros
from terzetto.rist import events
from terzetto.rist.core import vocabulary as say
from terzetto.rist.core.advanced_attributes import AttributeSender, AttributeTable
from terzetto.rist.core.advanced_beside import beside_from_bodies, beside_packets
from terzetto.rist.core.advanced_counting import Counting
from terzetto.rist.core.advanced_fec import WireFec
from terzetto.rist.core.advanced_hearing import ControlHearing
from terzetto.rist.core.advanced_link import AdvancedLink
from terzetto.rist.core.advanced_media import goes_by_arrival, media_arrival, media_from_run
from terzetto.rist.core.advanced_outlet import Outlet
from terzetto.rist.core.advanced_packing import Packing
from terzetto.rist.core.advanced_pieces import (
    UnitAssembler,
)
from terzetto.rist.core.advanced_settings import AdvancedSettings
from terzetto.rist.core.advanced_speech import Speech, says_nothing
from terzetto.rist.core.counters import AdvancedCounters, AdvancedState
from terzetto.rist.core.fec_receiver import FecReceiver
from terzetto.rist.core.forms import parted
from terzetto.rist.core.gre_session import Opening
from terzetto.rist.core.main import MainTranslator
from terzetto.rist.core.profile import MEDIA
from terzetto.rist.core.rtcp_translation import NackType
from terzetto.rist.core.tunnel_guest import TunnelGuest
from terzetto.rist.core.tunnel_reading import Arrivals, TunnelReading
from terzetto.rist.core.vocabulary import Feedback, FeedbackArrival, MediaArrival
from terzetto.rist.events import RistPacket
from terzetto.rist.quirks import Quirk
from terzetto.rist.wire.advanced_control import ControlIndex, FutureNonce, encode_keepalive, encode_text
from terzetto.rist.wire.advanced_header import (
    AdvancedRun,
    PayloadType,
    PskMode,
    decode_run,
    looks_like_advanced,
)
from terzetto.rist.wire.keepalive import Capability, Keepalive
from terzetto.rist.wire.vsf import TunnelContent

__all__ = ["AdvancedTranslator"]

_KEEPALIVE_INTERVAL: Final[Micros] = MICROS_PER_SECOND
_OPENING_COPIES: Final = 3
_FAREWELLS: Final = 3
_RATE: Final = MICROS_PER_SECOND


class AdvancedTranslator(MainTranslator):
    """Speaks the Advanced profile with one peer, and the Main profile for as long as it takes."""

    def __init__(
        self,
        settings: AdvancedSettings,
        *,
        payload_type: int,
        nack_type: NackType,
        entropy: EntropySource,
        remote: Address | None,
    ) -> None:
        super().__init__(
            settings.tunnel, payload_type=payload_type, nack_type=nack_type, entropy=entropy, remote=remote
        )
        self._advanced = settings
        self.sequence_bits = 32
        self._counting = Counting(self.clock_rate)
        self.clock_rate = _RATE
        self._link: AdvancedLink | None = None
        self._wire_fec = None if settings.fec is None else WireFec(settings.fec)
        self._outlet = Outlet(settings, self._counting, self._wire_fec)
        self._counters = AdvancedCounters()
        self._packing = Packing(settings, self._counters)
        self._assembler = UnitAssembler(self._dropped, self._counters)
        self._out_of_turn = UnitAssembler(self._dropped, self._counters)
        self._attributes = AttributeSender()
        self._table = AttributeTable()
        self._speech = Speech(int.from_bytes(entropy(4), "big"), has_tunnel=settings.substrate)
        self._next_keepalive: Micros | None = None
        self._now: Micros = 0

    # -- the profile's own business ------------------------------------------------------------------------------

    @property
    def is_active(self) -> bool:
        """Whether what we send has the Advanced form."""
        return self._link is not None and self._link.is_active

    def handle_timeout(self, *, now: Micros) -> None:
        """Keepalives of both forms, flow attributes, and the login's timers."""
        self._now = now
        super().handle_timeout(now=now)
        link = self._link
        if link is not None and link.give_up(now):
            # Keepalives go on in both forms: should the peer hear the Advanced one after all, it says so.
            self._events.append(events.AdvancedGivenUp(link.guest.address))
        if self._next_keepalive is not None and now >= self._next_keepalive:
            self._next_keepalive = now + _KEEPALIVE_INTERVAL
            self._say_keepalive(now)
        if self._attributes.is_due(now) and link is not None and self._may_speak_control(link):
            self._say_control(ControlIndex.FLOW_ATTRIBUTE, encode_text(self._attributes.text), now)
        for gone in self._table.expire(now):
            self._events.append(events.FlowAttributesEnded(gone))

    def next_timeout(self) -> Micros | None:
        """When any of it is due."""
        times = (
            super().next_timeout(),
            self._next_keepalive,
            None if self._link is None else self._link.next_timeout(),
            self._attributes.next_timeout(),
            self._table.next_timeout(),
        )
        return min((time for time in times if time is not None), default=None)

    def send_flow_attributes(self, text: str, *, now: Micros) -> None:
        """Describe the flow to the peer from now on, in JSON; with nothing, no more."""
        self._attributes.set(text, now=now)

    def send_out_of_band(self, data: Buffer, ether_type: int) -> bool:
        """Data beside the stream; False where there is no peer yet."""
        if self._advanced.substrate:
            return super().send_out_of_band(data, ether_type)
        link = self._link
        if link is None or not link.guest.is_open or self._admits is None or not self._admits.is_alive:
            return False
        packets = beside_packets(link, data, ether_type, ssrc=self._speech.ssrc, now=self._now)
        self._control.append(link.guest.run(packets))
        return True

    @property
    def dropped(self) -> dict[str, int]:
        """What was not understood, or not let in, by reason."""
        dropped = Counter(super().dropped)
        if self._link is not None:
            dropped.update(self._link.dropped)
        return dropped

    @property
    def key_rotations(self) -> int:
        """How often what we send has got a new key."""
        link = self._link
        return link.rotations if link is not None and link.is_active else super().key_rotations

    @property
    def advanced_state(self) -> AdvancedState:
        """What only this profile has."""
        link, mode = self._link, self._advanced.mode
        if not self.is_enciphered:
            mode = PskMode.NONE
        if link is None:
            return AdvancedState(False, mode, Capability(0), frozenset(), self._counters)
        return AdvancedState(link.is_active, mode, link.capabilities, link.quirks, self._counters)

    @property
    def fec_receiver(self) -> FecReceiver | None:
        """Who hears parities of what is on the wire."""
        return None if self._wire_fec is None else self._wire_fec.receiver

    @property
    def parities_sent(self) -> tuple[int, int]:
        """How many of those have left, and their bytes."""
        fec = self._wire_fec
        return (0, 0) if fec is None else (fec.sender.sent, fec.sender.sent_bytes)

    # -- payloads ------------------------------------------------------------------------------------------------

    def check_payloads(self, payloads: Sequence[Buffer]) -> None:
        """Raise InvalidOption where one is too long, in pieces or whole."""
        link = self._link
        if link is None or not link.is_active:
            super().check_payloads(payloads)
        else:
            self._packing.check(payloads, link)

    def prepare_media(self, payloads: Sequence[Buffer]) -> Sequence[Buffer]:
        """Compressed where that helps, and cut where they do not fit; each piece is a packet of its own."""
        link = self._link
        if link is None or not link.is_active:
            return payloads
        return self._packing.prepare(payloads, link)

    def assemble(self, packets: list[RistPacket]) -> list[RistPacket]:
        """Units out of packets in order."""
        return self._assemble(self._assembler, packets)

    def assemble_expedited(self, packets: list[RistPacket]) -> list[RistPacket]:
        """Units, which are whole, of those that are handed out before their turn."""
        return self._assemble(self._out_of_turn, packets)

    def _assemble(self, assembler: UnitAssembler, packets: list[RistPacket]) -> list[RistPacket]:
        whole = assembler.take(packets)
        if assembler.out_of_band:
            self._events += assembler.out_of_band
            assembler.out_of_band.clear()
        return whole

    # -- who is it -----------------------------------------------------------------------------------------------

    def _call(self, now: Micros) -> None:
        self._now = now
        super()._call(now)
        if self._link is not None and self._link.is_active:
            self._next_keepalive = now + _KEEPALIVE_INTERVAL
            for _ in range(_OPENING_COPIES):
                self._say_keepalive(now)

    def _receive_guest(self, address: Address, now: Micros) -> TunnelGuest:
        guest = super()._receive_guest(address, now)
        self._link = AdvancedLink(
            self._advanced, guest, counters=self._counters, entropy=self._entropy, now=now
        )
        return guest

    def _dismiss(self) -> None:
        if self._link is not None:
            self._dropped.update(self._link.dropped)
            self._link = None
        self._outlet.forget_peer()
        self._next_keepalive = None
        super()._dismiss()

    def _welcome(self, guest: TunnelGuest, now: Micros) -> None:
        super()._welcome(guest, now)
        if self._link is not None and self._link.is_active:
            self._begin_keepalives(now)

    def _begin_keepalives(self, now: Micros) -> None:
        if self._next_keepalive is None:
            self._next_keepalive = now + _KEEPALIVE_INTERVAL
            self._say_keepalive(now)

    def _hear_capabilities(self, link: AdvancedLink, keepalive: Keepalive, *, as_librist: bool) -> None:
        self.peer_splits = Capability.LOAD_SHARING in keepalive.capabilities
        if link.hear_capabilities(keepalive.capabilities, as_librist=as_librist):
            self._events.append(events.AdvancedStarted(link.guest.address))
        if link.is_active:
            self._begin_keepalives(self._now)
            if not self._settings.is_media_sender:
                link.expect_answer(
                    self._now
                )  # a sender waits for its media to be heard: till then there may be none

    # -- in ------------------------------------------------------------------------------------------------------

    def decode(self, runs: Sequence[Run], *, now: Micros) -> Arrivals:
        """What *runs* say in either form, as far as it is the peer's and makes sense."""
        self._now = now
        arrivals: Arrivals = []
        for run in runs:
            for is_advanced, part in parted(run, looks_like_advanced):
                if is_advanced:
                    self._decode_advanced(part, arrivals, now)
                else:
                    arrivals += self._decode_main([part], now)
        return arrivals

    def _decode_main(self, runs: Sequence[Run], now: Micros) -> Arrivals:
        """The Main profile's arrivals, in our counting."""
        arrivals: Arrivals = []
        for arrival in super().decode(runs, now=now):
            if self._link is not None:
                self._link.heard_tunnel = True
            if isinstance(arrival, MediaArrival):
                arrivals.append(self._counting.of_main(arrival, now))
            elif isinstance(arrival, FeedbackArrival):
                said = [self._counting.said_in_main(each, now) for each in arrival.said]
                arrivals.append(arrival._replace(said=said))
        return arrivals

    def _take_rest(self, guest: TunnelGuest, reading: TunnelReading, now: Micros) -> None:
        super()._take_rest(guest, reading, now)
        link = self._link
        if link is None:
            return
        for body in reading.keepalives:
            keepalive = Keepalive.decode(body)
            # Ours say it twice, libRIST's only in its own word.
            as_librist = keepalive.has_word and not body[7] & Capability.ADVANCED
            self._hear_capabilities(link, keepalive, as_librist=as_librist)

    def _decode_advanced(self, run: Run, arrivals: Arrivals, now: Micros) -> None:
        guest = self._guest_of(run, now)
        link = self._link
        if guest is None or link is None:
            return
        for packets in decode_run(run.datagrams, self._dropped):
            chosen, bodies = link.opener.open_run(packets, now=now)
            if not bodies:
                self._collect(guest)
                self._answer_refused(guest, run, now)
                continue
            if link.hear_answer():
                self._events.append(events.AdvancedStarted(guest.address))
                self._begin_keepalives(now)
            kind = packets.header.kind
            if kind == PayloadType.CONTROL:
                self._take_control(link, run, chosen, bodies, arrivals, now)
            elif kind == PayloadType.MAIN:
                arrivals += self._decode_main([run._replace(datagrams=bodies)], now)
            elif self._may_be_heard(guest, run, sense=len(bodies), packets=len(bodies), now=now):
                if chosen.header.ssrc & 1:
                    self._events += beside_from_bodies(kind, bodies, self._dropped)
                    arrivals.append(FeedbackArrival(run.peer, run.path, run.local, []))
                else:
                    self._take_media(link, run, chosen, bodies, arrivals, now)
                    if self._wire_fec is not None:
                        self._take_rebuilt(
                            link, run, self._wire_fec.hear_media(chosen, now=now), arrivals, now
                        )

    def _take_rebuilt(
        self, link: AdvancedLink, run: Run, datagrams: list[Buffer], arrivals: Arrivals, now: Micros
    ) -> None:
        """Packets of the wire that never came by it; their keys and their sense have to be right all the same."""
        if not datagrams:
            return
        for packets in decode_run(datagrams, self._dropped):
            chosen, bodies = link.opener.open_run(packets, now=now)
            count = len(arrivals)
            if bodies and chosen.header.kind != PayloadType.CONTROL:
                self._take_media(link, run, chosen, bodies, arrivals, now)
            for index in range(count, len(arrivals)):
                arrival = arrivals[index]
                if isinstance(arrival, MediaArrival):
                    arrivals[index] = arrival._replace(is_rebuilt=True)

    def _take_media(
        self,
        link: AdvancedLink,
        run: Run,
        packets: AdvancedRun,
        bodies: list[Buffer],
        arrivals: Arrivals,
        now: Micros,
    ) -> None:
        flow_id = packets.header.ssrc
        media = media_from_run(
            packets,
            bodies,
            self._counting.of(flow_id),
            by_arrival=goes_by_arrival(packets, self._advanced.quirks),
            now=now,
            dropped=self._dropped,
            counters=self._counters,
        )
        if not link.is_active:
            link.is_active = True
            self._events.append(events.AdvancedStarted(link.guest.address))
            self._begin_keepalives(now)
        if not media:
            return
        arrivals.append(media_arrival(run, flow_id, media))

    def _take_control(
        self,
        link: AdvancedLink,
        run: Run,
        packets: AdvancedRun,
        bodies: list[Buffer],
        arrivals: Arrivals,
        now: Micros,
    ) -> None:
        guest = link.guest
        hearing = ControlHearing(self._dropped)
        is_trusted = link.trusts(packets)
        link.hear_control(packets, bodies, hearing, is_trusted=is_trusted)
        if hearing.logins:
            self._take_logins(link, hearing.logins, now)
        if not is_trusted and not guest.is_settled:
            # In the clear nobody makes an acquaintance, where there is a secret.
            link.opener.refuse_clear_text(len(bodies) - len(hearing.logins))
            self._collect(guest)
            self._answer_refused(guest, run, now)
            return
        sense = hearing.sense if is_trusted else 0
        if not self._may_be_heard(guest, run, sense=sense, packets=len(bodies), now=now):
            return
        for keepalive in hearing.keepalives:
            self._hear_capabilities(link, keepalive, as_librist=keepalive.has_word)
        if not packets.header.ssrc & 1:
            self._take_media(link, run, packets, bodies, arrivals, now)
        said = [self._speech.understood(each, link) for each in hearing.said]
        heard: list[Feedback] = [each for each in said if each is not None]
        if hearing.keepalives and not link.heard_tunnel and not heard:
            heard.append(say.Hello(packets.header.ssrc))
        arrivals.append(FeedbackArrival(run.peer, run.path, run.local, heard))
        for nonce in hearing.nonces:
            link.opener.prepare(nonce.nonce, now=now)
        for text in hearing.attributes:
            if self._table.hear(text, now=now):
                self._events.append(events.FlowAttributesReceived(text))
        if hearing.parities and self._wire_fec is not None:
            rebuilt = self._wire_fec.hear_parities(hearing.parities, now=now)
            self._take_rebuilt(link, run, rebuilt, arrivals, now)
        for unknown in hearing.unknown[:1]:
            if link.unsupported_due(now):
                self._say_control(ControlIndex.UNSUPPORTED, unknown.encode(), now)

    def _take_logins(self, link: AdvancedLink, frames: list[bytes], now: Micros) -> None:
        guest = link.guest
        if guest.login is None:
            self._dropped["login, and no name or users to log in with"] += len(frames)
            guest.tell_once(events.LoginWanted(guest.address))
        else:
            link.logs_in_by_control = True
            guest.login.handle_frames(frames, now=now)
        self._collect(guest)

    # -- out -----------------------------------------------------------------------------------------------------

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
        link = self._link
        assert link is not None
        self._speech.ssrc = flow_id | 1
        datagrams = self._outlet.datagrams(
            link,
            payloads,
            first_sequence=first_sequence,
            timestamp=timestamp,
            flow_id=flow_id,
            is_retransmission=is_retransmission,
            now=self._now,
        )
        if datagrams is not None:
            return datagrams
        return super().encode_media(
            payloads,
            first_sequence=first_sequence,
            timestamp=self._counting.sending.ticks(timestamp),
            flow_id=flow_id,
            is_retransmission=is_retransmission,
        )

    def encode_parities(
        self, kind: int, packets: list[Buffer], media: Address
    ) -> tuple[Address, int, list[Buffer]]:
        """Parities are control messages, and leave with the media: of this kind there are none but in the Main form."""
        if self.is_active:
            return media, MEDIA, []
        return super().encode_parities(kind, packets, media)

    def encode_feedback(self, said: Sequence[Feedback]) -> list[Buffer]:
        """Control messages for what there are any for, and the rest as reports in the tunnel."""
        link = self._link
        assert link is not None
        now = self._now
        datagrams: list[Buffer] = []
        rest: list[Feedback] = []
        for thing in said:
            if isinstance(thing, say.Description) and thing.ssrc:
                self._speech.ssrc = thing.ssrc | 1
            controls = self._speech.messages(thing, link, self._counting, self.nack_type)
            if controls is None:
                rest.append(self._counting.for_main(thing, is_active=link.is_active))
            for index, body in controls or ():
                datagrams += link.control(index, body, ssrc=self._speech.ssrc, now=now)
        if not self._advanced.substrate or (datagrams and says_nothing(rest)):
            return datagrams
        return [*super().encode_feedback(rest), *datagrams]

    # -- helpers -------------------------------------------------------------------------------------------------

    def _may_speak_control(self, link: AdvancedLink) -> bool:
        return link.is_active and link.guest.is_open and self._admits is not None and self._admits.is_alive

    def _say_control(self, index: int, body: bytes, now: Micros) -> None:
        link = self._link
        if link is not None and not self._settings.is_silent:
            self._control.append(link.guest.run(link.control(index, body, ssrc=self._speech.ssrc, now=now)))

    def _say_keepalive(self, now: Micros, *, disconnect: bool = False) -> None:
        link = self._link
        if link is None:
            return
        keepalive = link.guest.tunnel.keepalive(disconnect=disconnect)
        short = Quirk.SHORT_KEEPALIVE in link.quirks
        self._say_control(ControlIndex.KEEPALIVE, encode_keepalive(keepalive._replace(has_word=short)), now)
        bits = self._settings.key_size if Quirk.LONG_NONCE in link.quirks else 0
        for nonce in link.announced:
            self._say_control(ControlIndex.FUTURE_NONCE, FutureNonce(nonce, bits).encode(), now)

    def _say_openings(
        self, guest: TunnelGuest, openings: Sequence[Opening], *, disconnect: bool = False
    ) -> None:
        if self._advanced.substrate:
            super()._say_openings(guest, openings, disconnect=disconnect)
        elif any(content is TunnelContent.KEEPALIVE for content, _ in openings):
            for _ in range(_FAREWELLS if disconnect else 1):
                self._say_keepalive(self._now, disconnect=disconnect)

    def close(self, *, now: Micros) -> None:
        """Keepalives with the disconnect bit, in the form that the peer reads."""
        self._now = now
        super().close(now=now)
        if not self._advanced.substrate and self._link is not None:
            for _ in range(_FAREWELLS):
                self._say_keepalive(now, disconnect=True)

    def _collect(self, guest: TunnelGuest) -> None:
        link = self._link
        if link is not None and link.guest is guest:
            guest.hear_psk(link.opener.poll_news())
            if link.logs_in_by_control or not self._advanced.substrate:
                for frame in guest.poll_frames():
                    self._say_control(ControlIndex.LOGIN, frame, self._now)
        super()._collect(guest)
