"""What must always hold when media crosses a network that loses.

A test hands over what was sent, what was delivered, and, for the last invariant, the packets that passed the
network. Nothing may be delivered twice, out of order, past its deadline, or without having been sent; and nothing may
be lost that could have been saved. The last one means, for a payload that was never delivered:

*it arrived*    some intact copy of it (the original, a repair, either path) reached the receiver before the deadline,
                so the receiver had it and did not deliver it;
*it was given up*  no copy arrived, but there was time for more attempts than were made. A payload has
                ``1 + (latency - margin) // repair_round`` attempts; each copy that entered a link in time is one, and
                so is each request for it that the network dropped, since whoever asked did its part.
                ``repair_round`` is the longest that one request and its answer may take: detection, the wait before
                asking again, and a round trip.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from typing import NamedTuple

import attrs

from terzetto.net.simulated.trace import PacketRecord
from terzetto.primitives.time import Micros
from terzetto.testing.promises import promise

__all__ = ["Delivered", "DeliveryReport", "Sent", "check_delivery", "examine_delivery"]


class Sent(NamedTuple):
    """A payload as it was handed to the sender; *identity* is whatever tells payloads apart."""

    identity: Hashable
    at: Micros


class Delivered(NamedTuple):
    """A payload as the receiver handed it out."""

    identity: Hashable
    at: Micros


@attrs.frozen
class DeliveryReport:
    """Identities of payloads for which an invariant does not hold, in the order they were sent or delivered."""

    twice: tuple[Hashable, ...]
    out_of_order: tuple[Hashable, ...]
    late: tuple[Hashable, ...]
    never_sent: tuple[Hashable, ...]
    arrived_but_lost: tuple[Hashable, ...]
    given_up: tuple[Hashable, ...]
    unrecovered: tuple[Hashable, ...]
    """Sent and never delivered, for whatever reason; by itself no invariant is broken."""

    @property
    def broken(self) -> dict[str, tuple[Hashable, ...]]:
        """The invariants that do not hold, each with its payloads."""
        named = {
            "delivered twice": self.twice,
            "delivered out of order": self.out_of_order,
            "delivered past the deadline": self.late,
            "delivered but never sent": self.never_sent,
            "lost although a copy arrived in time": self.arrived_but_lost,
            "given up while there was time": self.given_up,
        }
        return {name: identities for name, identities in named.items() if identities}


def check_delivery(
    sent: Sequence[Sent],
    delivered: Sequence[Delivered],
    *,
    latency: Micros,
    margin: Micros = 0,
    packets: Iterable[PacketRecord] = (),
    copies_in: Callable[[bytes], Collection[Hashable]] | None = None,
    requests_in: Callable[[bytes], Collection[Hashable]] | None = None,
    repair_round: Micros | None = None,
) -> DeliveryReport:
    """Raise `PromiseBroken` unless every invariant holds; see `examine_delivery` for the arguments."""
    report = examine_delivery(
        sent,
        delivered,
        latency=latency,
        margin=margin,
        packets=packets,
        copies_in=copies_in,
        requests_in=requests_in,
        repair_round=repair_round,
    )
    told = "; ".join(
        f"{name}: {len(identities)}, first {list(identities[:5])}"
        for name, identities in report.broken.items()
    )
    promise(not report.broken, told)
    return report


def examine_delivery(
    sent: Sequence[Sent],
    delivered: Sequence[Delivered],
    *,
    latency: Micros,
    margin: Micros = 0,
    packets: Iterable[PacketRecord] = (),
    copies_in: Callable[[bytes], Collection[Hashable]] | None = None,
    requests_in: Callable[[bytes], Collection[Hashable]] | None = None,
    repair_round: Micros | None = None,
) -> DeliveryReport:
    """Which invariants hold for this run.

    *latency* is how long after sending a payload is due; *margin* what timers and processing may take: it may be
    delivered that much later, and a copy counts as in time only that much earlier. *packets* is the network's
    trace. *copies_in* and *requests_in* say which payloads a datagram carries, or asks for. Without *copies_in*
    nothing can be said about losses, without *repair_round* nothing about what was given up.
    """
    order = {payload.identity: number for number, payload in enumerate(sent)}
    due = {payload.identity: payload.at + latency for payload in sent}
    counts = Counter(payload.identity for payload in delivered)
    known = [payload for payload in delivered if payload.identity in order]
    unrecovered = [payload.identity for payload in sent if payload.identity not in counts]
    tally = _Tally(dict.fromkeys(unrecovered), due, margin)
    if copies_in is not None:
        for packet in packets:
            tally.add(packet, copies_in, requests_in)
    attempts = 0 if repair_round is None else 1 + max(latency - margin, 0) // repair_round
    return DeliveryReport(
        twice=tuple(identity for identity, count in counts.items() if count > 1),
        out_of_order=tuple(_behind([(order[payload.identity], payload.identity) for payload in known])),
        late=tuple(payload.identity for payload in known if payload.at > due[payload.identity] + margin),
        never_sent=tuple(identity for identity in counts if identity not in order),
        arrived_but_lost=tuple(identity for identity in unrecovered if identity in tally.arrived),
        given_up=tuple(
            identity
            for identity in unrecovered
            if copies_in is not None and identity not in tally.arrived and tally.attempts[identity] < attempts
        ),
        unrecovered=tuple(unrecovered),
    )


def _behind(numbered: Iterable[tuple[int, Hashable]]) -> Iterable[Hashable]:
    highest = -1
    for number, identity in numbered:
        # The same again is "twice", and said there.
        if number < highest:
            yield identity
        highest = max(highest, number)


class _Tally:
    """What the network saw of the payloads that were not delivered."""

    def __init__(self, missing: dict[Hashable, None], due: dict[Hashable, Micros], margin: Micros) -> None:
        self._missing = missing
        self._due = due
        self._margin = margin
        self.arrived: set[Hashable] = set()
        self.attempts: Counter[Hashable] = Counter()

    def add(
        self,
        packet: PacketRecord,
        copies_in: Callable[[bytes], Collection[Hashable]],
        requests_in: Callable[[bytes], Collection[Hashable]] | None,
    ) -> None:
        """Book one packet of the trace."""
        if not packet.is_on_a_link:
            return
        if packet.fate == "corrupted":
            return  # its bytes are no longer what was sent, so nobody can say what it was a copy of
        for identity in copies_in(packet.datagram):
            if identity in self._missing and packet.at <= self._due[identity]:
                self.attempts[identity] += 1
                if packet.arrivals and min(packet.arrivals) + self._margin <= self._due[identity]:
                    self.arrived.add(identity)
        if requests_in is not None and not packet.passed:
            for identity in requests_in(packet.datagram):
                if identity in self._missing:
                    self.attempts[identity] += 1
