"""One client of the impairment proxy: its sockets towards the target, and the links it is sent through."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from terzetto.net.endpoint import Address, Buffer, DatagramEndpoint, Run, Trouble
from terzetto.primitives.impairment import DelayLine, Fates
from terzetto.primitives.impairment.delay_line import NO_FATES
from terzetto.primitives.time import Micros

__all__ = ["ImpairedClient", "Lane", "Leg"]


class Lane:
    """One direction of one leg: a link, and where it ends."""

    __slots__ = ("_send", "line")

    def __init__(self, line: DelayLine, send: Callable[[Sequence[Buffer]], Sequence[Buffer]]) -> None:
        self.line = line
        self._send = send

    def release(self, now: Micros) -> None:
        """Send what has arrived by *now*; what finds no room in the socket is kept for the next time."""
        due = self.line.take_due(now)
        if due:
            unsent = self._send(due)
            if unsent:
                self.line.put_back(unsent)


class Leg:
    """One port of a client: its upstream socket, a lane each way, and whom the answers go to."""

    __slots__ = ("client", "down", "downstream", "index", "local", "peer", "target", "up", "upstream")

    client: ImpairedClient

    def __init__(
        self,
        *,
        index: int,
        upstream: DatagramEndpoint,
        downstream: DatagramEndpoint,
        target: Address,
        up: DelayLine,
        down: DelayLine,
    ) -> None:
        self.index = index
        self.upstream = upstream
        self.downstream = downstream
        self.target = target
        self.peer: Address | None = None
        self.local: str | None = None
        self.up = Lane(up, self._send_up)
        self.down = Lane(down, self._send_down)

    def _send_up(self, datagrams: Sequence[Buffer]) -> Sequence[Buffer]:
        return _rest(self.upstream.send_nowait([Run(self.target, datagrams)]))

    def _send_down(self, datagrams: Sequence[Buffer]) -> Sequence[Buffer]:
        peer = self.peer or self._presumed_peer()
        return _rest(self.downstream.send_nowait([Run(peer, datagrams, 0, self.local)]))

    def _presumed_peer(self) -> Address:
        """Where a client listens on this port that has only spoken on the other: right beside it.

        So a RIST Simple receiver begins that calls a sender: reports from its upper port, media to the one below.
        """
        other = self.client.legs[1 - self.index].peer
        assert other is not None
        return other._replace(port=other.port + (1 if self.index else -1))


class ImpairedClient:
    """Somebody who sends to the proxy, on one port or on a pair of them."""

    __slots__ = ("heard_at", "legs")

    def __init__(self, legs: Iterable[Leg]) -> None:
        self.legs = tuple(legs)
        self.heard_at: Micros = 0
        """When this client, or the target to it, last said something."""
        for leg in self.legs:
            leg.client = self

    def fates_up(self) -> Fates:
        """What became of what the client sent."""
        return sum((leg.up.line.fates() for leg in self.legs), NO_FATES)

    def fates_down(self) -> Fates:
        """What became of what the target sent."""
        return sum((leg.down.line.fates() for leg in self.legs), NO_FATES)

    def dropped_by_kernel(self) -> int:
        """Datagrams from the target that we read too late."""
        return sum(leg.upstream.statistics().dropped_by_kernel for leg in self.legs)

    def poll_troubles(self) -> list[Trouble]:
        """What the network says about reaching the target."""
        return [trouble for leg in self.legs for trouble in leg.upstream.poll_troubles()]

    def close(self) -> None:
        """Close the sockets."""
        for leg in self.legs:
            leg.upstream.close()


def _rest(runs: Sequence[Run]) -> Sequence[Buffer]:
    return runs[0].datagrams if runs else ()
