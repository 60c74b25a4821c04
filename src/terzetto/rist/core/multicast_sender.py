"""A sender to a multicast group: media and reports to the group, and what each receiver says by unicast (TR-06-1).

Nobody has to answer for media to flow. Repeats go to the group as well, so that one repeat serves all who lack the
packet, and who asks for it a moment later is not answered a second time. The group's reports are all that receivers
are told unasked: a stranger who claims to be one gets nothing sent to an address that may not be its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from terzetto.primitives.datagrams import Address, EntropySource, Run
from terzetto.primitives.time import Micros
from terzetto.rist.core.history import Sent
from terzetto.rist.core.outflow import Outflow
from terzetto.rist.core.profile import Translator
from terzetto.rist.core.sender import Sender
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.vocabulary import FeedbackArrival, Goodbye, SourceReport
from terzetto.rist.events import RistEvent
from terzetto.rtp.ntp import middle_32

__all__ = ["MOST_MEMBERS", "MulticastSender"]

MOST_MEMBERS: Final = 256
"""Receivers that are listened to; requests do not scale further than that anyhow."""


class _Member(Sender):
    """One receiver of the group: its address, its round trip, and what it asks for."""

    def __init__(
        self, group: MulticastSender, settings: Settings, *, now: Micros, entropy: EntropySource
    ) -> None:
        super().__init__(
            group.translator,
            settings,
            flow_id=group.flow_id,
            now=now,
            wall_clock_offset=group.wall_clock_offset,
            entropy=entropy,
            outflow=group.outflow,
        )
        group.outflow.leave(self)  # it hears, and the group's own leg sends
        self._group = group
        self._opened = True

    @property
    def may_speak_freely(self) -> bool:
        """It is told nothing but answers to its echoes, each as long as its question."""
        return True

    def hear(self, arrival: FeedbackArrival, now: Micros) -> None:
        """Take in what the receiver says."""
        self._hear(arrival, now)

    def send_repeats(self, chosen: Sequence[tuple[int, Sent]]) -> None:
        """To the group: others may lack them as well."""
        self._group.send_repeats(chosen)

    def _report(self, now: Micros) -> None:
        """The group's reports are for all."""

    def poll_events(self) -> list[RistEvent]:
        """What happened to this receiver."""
        return self.peer.poll_events()

    def poll_transmits(self) -> list[Run]:
        """Answers to its echoes."""
        transmits, self._transmits = self._transmits, []
        return transmits


class MulticastSender(Sender):
    """Sends a flow to the group *remote*, in the Simple profile."""

    def __init__(
        self,
        translator: Translator,
        settings: Settings,
        *,
        flow_id: int,
        now: Micros,
        wall_clock_offset: Micros,
        entropy: EntropySource,
        remote: Address,
        outflow: Outflow | None = None,
    ) -> None:
        super().__init__(
            translator,
            settings,
            flow_id=flow_id,
            now=now,
            wall_clock_offset=wall_clock_offset,
            entropy=entropy,
            remote=remote,
            outflow=outflow,
        )
        self.wall_clock_offset = wall_clock_offset
        self._entropy = entropy
        self._own = self.peer
        self._members: dict[Address, _Member] = {}
        self._gone: list[RistEvent] = []
        self.unheard = 0
        """Reports of receivers that there was no more room for."""

    @property
    def may_send(self) -> bool:
        """Whether there are sockets: a group always hears, whoever is in it."""
        return not self.is_down

    @property
    def members(self) -> int:
        """How many receivers report."""
        return len(self._members)

    def handle_datagrams(self, runs: Sequence[Run], *, now: Micros) -> None:
        """Each report is its receiver's alone."""
        for arrival in self.translator.decode(runs, now=now):
            if not isinstance(arrival, FeedbackArrival) or self._settings.one_way:
                continue
            member = self._members.get(arrival.peer)
            if member is None:
                if any(isinstance(said, (SourceReport, Goodbye)) for said in arrival.said):
                    continue  # our own report, looped back, or one that goes before it came
                if len(self._members) >= MOST_MEMBERS:
                    self.unheard += 1
                    continue
                member = self._members[arrival.peer] = _Member(
                    self, self._settings, now=now, entropy=self._entropy
                )
            member.hear(arrival, now)
            self._transmits += member.poll_transmits()
            if not member.peer.is_alive:
                self._remove(arrival.peer)
        self._choose_peer()

    def handle_timeout(self, *, now: Micros) -> None:
        """Report to the group, and forget who fell silent."""
        self.peer = self._own  # who speaks for all is to be lost like the others
        super().handle_timeout(now=now)
        for address, member in list(self._members.items()):
            if member.peer.expire(now):
                self._remove(address)
        self._choose_peer()

    def _remove(self, address: Address) -> None:
        self._gone += self._members.pop(address).poll_events()

    def _choose_peer(self) -> None:
        """Where there is room for one peer, the farthest speaks for all: its repeats take longest."""
        alive = [member.peer for member in self._members.values() if member.peer.is_alive]
        self.peer = max(alive, key=lambda peer: peer.round_trip.smoothed, default=self._own)
        if not alive:
            self.outflow.lost_a_peer()

    def poll_events(self) -> list[RistEvent]:
        """What happened to each receiver."""
        told, self._gone = self._gone, []
        for member in self._members.values():
            told += member.poll_events()
        return told + self.outflow.poll_events()

    def next_timeout(self) -> Micros | None:
        """When to report, and when the next receiver is lost."""
        times = [] if self._settings.one_way else [self._schedule.next_report]
        for member in self._members.values():
            lost_at = member.peer.association.next_timeout()
            if lost_at is not None:
                times.append(lost_at)
        flow_at = self.outflow.next_timeout()
        if flow_at is not None:
            times.append(flow_at)
        return min(times, default=None)

    def _report(self, now: Micros) -> None:
        """To the group, without an echo that all of it would answer at once: reports tell round trips as well."""
        counters = self.counters
        report, name, *_ = self._own.source_report(
            timestamp=self.outflow.timestamp(now),
            packets=counters.sent & 0xFFFF_FFFF,
            octets=counters.sent_bytes & 0xFFFF_FFFF,
            now=now,
        )
        assert isinstance(report, SourceReport)
        for member in self._members.values():
            member.peer.round_trip.reported(middle_32(report.ntp), now)
        self.say([report, name])
        self._opened = True
