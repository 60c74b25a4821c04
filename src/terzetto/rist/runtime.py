"""A running session: what senders, receivers and listeners share once the sockets are open."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import trio

from terzetto.driver.delivery import EventHub, PacketQueue
from terzetto.driver.session import Session, SessionPath
from terzetto.errors import PeerTimedOut, WrongProtocol
from terzetto.net.endpoint import DatagramEndpoint, Trouble
from terzetto.primitives.datagrams import Address
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.events import NetworkTrouble, PacketsReady, PeerConnected, RistEvent, RistPacket
from terzetto.rist.plan import Plan

__all__ = ["Runtime", "start_session"]

CoreT = TypeVar("CoreT", bound=Sender | Receiver)


class Runtime(Generic[CoreT]):
    """A running session: its core, its pump, and what became of reaching the peer."""

    def __init__(
        self,
        core: CoreT,
        endpoints: Sequence[DatagramEndpoint],
        plan: Plan,
        *,
        media_tick: float,
        queue: PacketQueue[RistPacket] | None,
    ) -> None:
        self.core = core
        self.options = plan.options
        self.events: EventHub[RistEvent] = EventHub()
        self._plan = plan
        self._queue = queue
        self._endpoints = endpoints
        self._connected = trio.Event()
        self._troubles: dict[str, Trouble] = {}
        self.is_closed = False
        self.on_event: Callable[[RistEvent], None] = _nobody
        """Hears every event at once, before those who listen to `events`."""
        self.is_stopped = False
        ticks = [media_tick] + [0.0] * (len(endpoints) - 1)
        self.session: Session[RistEvent] = Session(
            core,
            [SessionPath(endpoint, tick) for endpoint, tick in zip(endpoints, ticks, strict=True)],
            deliver=self._deliver,
            complain=self._complain,
            patience=2 * plan.options.effective_tick,
        )

    @property
    def local_address(self) -> Address:
        """The address of the media endpoint."""
        return self._endpoints[0].local_address

    @property
    def was_connected(self) -> bool:
        """Whether a peer has ever answered."""
        return self._connected.is_set()

    async def wait_connected(self) -> None:
        """Wait for the first answer, for ``connect_timeout`` at most."""
        timeout = self.options.connect_timeout
        with trio.move_on_after(timeout if timeout is not None else float("inf")):
            await self._connected.wait()
            if self.is_closed:
                raise trio.ClosedResourceError
            return
        if self.is_closed:
            raise trio.ClosedResourceError
        raise self.explain_silence(timeout or 0.0)

    def close(self) -> None:
        """End the session, and drop what was not read."""
        self.is_closed = True
        if self._queue is not None:
            self._queue.close()
        self.stop()

    def stop(self) -> None:
        """End the session's tasks, close its sockets, end its events; what was received can still be read."""
        self.is_stopped = True
        self.session.stop()
        self.events.close()
        self._connected.set()

    def _deliver(self, events: list[RistEvent]) -> None:
        for event in events:
            if type(event) is PacketsReady:
                if self._queue is not None:
                    self._queue.put(event.packets)
                continue
            if type(event) is PeerConnected:
                self._connected.set()
            self.on_event(event)
            self.events.publish(event)

    def _complain(self, trouble: Trouble) -> None:
        if trouble.kind not in self._troubles:
            self.events.publish(NetworkTrouble(trouble.peer, trouble.kind, trouble.text))
        self._troubles[trouble.kind] = trouble

    def explain_silence(self, timeout: float) -> PeerTimedOut | WrongProtocol:
        """The most helpful thing to say about a peer that never answered."""
        target = self._plan.url
        heard = [
            reason for reason in self.core.translator.dropped if "RIST Main" in reason or "not RIST" in reason
        ]
        heard += [reason for reason in self.core.translator.dropped if "SRT" in reason]
        if heard:
            return WrongProtocol(
                f"no RIST session with {target} in {timeout:g} s, but something else was heard: {heard[0]}",
                hint="check the protocol, and the profile (?profile=simple|main|advanced), at both ends",
            )
        if "refused" in self._troubles:
            return PeerTimedOut(
                f"nobody listens at {target}: the host says the port is closed",
                hint="start the other end first, and mind that RIST Simple needs an even port and the one above it",
            )
        if self._troubles:
            trouble = next(iter(self._troubles.values()))
            return PeerTimedOut(
                f"{target} cannot be reached: {trouble.text}", hint="check the address and the route"
            )
        if target.listen:
            return PeerTimedOut(
                f"nobody called {target} in {timeout:g} s",
                hint="check that the other end calls this host and port, and that UDP passes the firewalls",
            )
        return PeerTimedOut(
            f"{target} did not answer in {timeout:g} s",
            hint="check that the other end listens there with the same profile, and that UDP passes the firewalls",
        )


async def start_session(
    nursery: trio.Nursery,
    plan: Plan,
    core: CoreT,
    endpoints: Sequence[DatagramEndpoint],
    *,
    media_tick: float,
    queue: PacketQueue[RistPacket] | None,
) -> Runtime[CoreT]:
    """Start a session in *nursery*; the endpoints are its own from here on, whatever happens."""
    try:
        runtime = Runtime(core, endpoints, plan, media_tick=media_tick, queue=queue)
        await nursery.start(runtime.session.run)
    except BaseException:
        for endpoint in endpoints:
            endpoint.close()
        raise
    return runtime


def _nobody(event: RistEvent) -> None:
    """Hears nothing."""
