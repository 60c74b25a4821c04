"""What is on its way to one UDP port of one host, and who listens there.

Arrivals wait in a heap. `Port.settle` brings them to the endpoints once they are due; every operation that could
notice a difference (opening, closing, reading, sending) settles first, so that doing it late looks the same as
doing it on time.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from terzetto.net.endpoint import Trouble
from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import Micros

if TYPE_CHECKING:
    from terzetto.net.simulated.endpoint import SimulatedEndpoint

__all__ = ["Answer", "Note", "Parcel", "Port"]

Note: TypeAlias = Callable[["Parcel", str, Micros], None]
"""Told of each parcel that came to nothing at its destination, although the link let it pass: why, and when."""


class Parcel:
    """A datagram between its link and its receiver."""

    __slots__ = (
        "admitted",
        "datagram",
        "destination",
        "group",
        "local_host",
        "refused",
        "return_delay",
        "sender",
        "source",
    )

    def __init__(
        self,
        source: Address,
        destination: Address,
        datagram: bytes,
        *,
        sender: SimulatedEndpoint,
        local_host: str,
        return_delay: Micros,
        group: str | None,
        admitted: Callable[[Micros], bool] | None,
    ) -> None:
        self.source = source
        self.destination = destination
        """As the sender addressed it, which behind a translator is not the receiver's own address."""
        self.datagram = datagram
        self.sender = sender
        self.local_host = local_host
        """The receiver's own address."""
        self.return_delay = return_delay
        """How long word of a refusal takes to the sender."""
        self.group = group
        self.admitted = admitted
        """Asks a translator on the way whether it still lets this in when it arrives."""
        self.refused = False


class Answer(NamedTuple):
    """The sender will learn what became of a parcel that, as things stand, nobody is there to take."""

    parcel: Parcel
    port: Port


class Port:
    """One UDP port of one host."""

    __slots__ = ("_in_flight", "_note", "_serial", "endpoints", "number")

    def __init__(self, number: int, note: Note) -> None:
        self.number = number
        self.endpoints: list[SimulatedEndpoint] = []
        # (arrival, link, count on the link, serial): what arrives at one moment sorts the same way in every run,
        # whichever task happened to send first.
        self._in_flight: list[tuple[Micros, str, int, int, Parcel | Answer]] = []
        self._note = note
        self._serial = 0

    @property
    def next_arrival(self) -> Micros | None:
        """When the next thing comes due, or None."""
        return self._in_flight[0][0] if self._in_flight else None

    def expect(self, item: Parcel | Answer, at: Micros, link: str, count: int) -> None:
        """*item* will arrive *at* that moment."""
        self._serial += 1
        heappush(self._in_flight, (at, link, count, self._serial, item))
        if isinstance(item, Parcel) and item.group is None and not self._takers(item):
            self._promise_answer(item, at, link, count)
        for endpoint in self.endpoints:
            endpoint.wake_by(at)

    def settle(self, now: Micros) -> None:
        """Hand over everything that is due."""
        in_flight = self._in_flight
        while in_flight and in_flight[0][0] <= now:
            at, _link, _count, _serial, item = heappop(in_flight)
            if isinstance(item, Parcel):
                self._deliver(item, at)
            else:
                item.port.settle(now)
                parcel = item.parcel
                if parcel.refused:
                    text = f"nobody listens on {parcel.destination}"
                    parcel.sender.take_trouble(Trouble(parcel.destination, "refused", text))

    def attach(self, endpoint: SimulatedEndpoint, now: Micros) -> None:
        """From *now* on *endpoint* listens here too."""
        self.settle(now)
        self.endpoints.append(endpoint)

    def detach(self, endpoint: SimulatedEndpoint, now: Micros) -> None:
        """From *now* on it does not."""
        self.settle(now)
        self.endpoints.remove(endpoint)
        for at, link, count, _serial, item in sorted(self._in_flight, key=lambda entry: entry[:4]):
            if isinstance(item, Parcel) and item.group is None and not self._takers(item):
                self._promise_answer(item, at, link, count)

    def _promise_answer(self, parcel: Parcel, at: Micros, link: str, count: int) -> None:
        parcel.sender.port.expect(Answer(parcel, self), at + parcel.return_delay, link, count)

    def _takers(self, parcel: Parcel) -> list[SimulatedEndpoint]:
        return [endpoint for endpoint in self.endpoints if endpoint.accepts(parcel)]

    def _deliver(self, parcel: Parcel, at: Micros) -> None:
        if parcel.admitted is not None and not parcel.admitted(at):
            self._note(parcel, "not admitted", at)
            return
        takers = self._takers(parcel)
        if not takers:
            if parcel.group is None:
                parcel.refused = True
                self._note(parcel, "refused", at)
            return
        if len(takers) > 1 and parcel.group is None:
            takers = [_one_of(takers, parcel)]
        for taker in takers:
            if not taker.take(parcel):
                self._note(parcel, "no room", at)


def _one_of(takers: list[SimulatedEndpoint], parcel: Parcel) -> SimulatedEndpoint:
    """The most specific binding; among equals that share the port, always the same one for the same peer."""
    exact = [taker for taker in takers if not taker.is_wildcard] or takers
    return exact[zlib.crc32(str(parcel.source).encode()) % len(exact)]
