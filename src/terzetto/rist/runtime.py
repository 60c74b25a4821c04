"""A running session: what senders, receivers and listeners share once the sockets are open."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import EventHub, PacketQueue
from terzetto.driver.reconnecting import Reconnector
from terzetto.driver.session import Session, SessionPath
from terzetto.errors import AuthenticationFailed, PeerError, PeerTimedOut, WrongProtocol
from terzetto.net.endpoint import DatagramEndpoint, Trouble
from terzetto.primitives.datagrams import Address
from terzetto.rist import events
from terzetto.rist.core.profile import FEEDBACK
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.events import NetworkTrouble, PacketsReady, PeerConnected, RistEvent, RistPacket
from terzetto.rist.plan import Plan
from terzetto.rist.secured import keep_called
from terzetto.rist.tunnel_controls import Authorize, TunnelControls

__all__ = ["Lifetime", "Runtime", "Silence", "ignore", "start_session"]

Silence: TypeAlias = PeerTimedOut | WrongProtocol | AuthenticationFailed
"""What may be the matter with a peer that never answered."""

CoreT = TypeVar("CoreT", bound=Sender | Receiver)

_EXPLANATIONS: Final = (
    events.AuthenticationRefused,
    events.ClearTextRefused,
    events.LoginWanted,
    events.PassphraseMissing,
    events.PassphraseWrong,
)


class Lifetime(ABC):
    """From being opened to being closed, or to whatever ended it: what one session and several have in common."""

    def __init__(self, queue: PacketQueue[RistPacket] | None) -> None:
        self._queue = queue
        self.is_closed = False
        self.failure: PeerError | None = None
        """What ended it, other than being closed."""

    def check_open(self) -> None:
        """Raise `trio.ClosedResourceError` when closed, and what ended the session where something did."""
        if self.is_closed:
            raise trio.ClosedResourceError
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        """End the session, and drop what was not read."""
        self.is_closed = True
        if self._queue is not None:
            self._queue.close()
        self.stop()

    @abstractmethod
    def stop(self) -> None:
        """End every task and the events; what was received can still be read."""


class Runtime(Lifetime, Generic[CoreT]):
    """A running session: its core, its pump, and what became of reaching the peer."""

    def __init__(
        self,
        core: CoreT,
        endpoints: Sequence[DatagramEndpoint],
        plan: Plan,
        *,
        media_tick: float,
        queue: PacketQueue[RistPacket] | None,
        authorize: Authorize | None = None,
    ) -> None:
        super().__init__(queue)
        self.core = core
        self.options = plan.options
        self.events: EventHub[RistEvent] = EventHub()
        self._plan = plan
        self._endpoints = endpoints
        self._connected = trio.Event()
        self._troubles: dict[str, Trouble] = {}
        self._explanation: RistEvent | None = None
        """The last that went wrong with keys or logins."""
        self._refused: Silence | None = None
        """The last that went wrong with DTLS."""
        self.owns_queue = True
        """Whether nobody else fills the queue, and our failure is its end."""
        self.on_event: Callable[[RistEvent], None] = ignore
        """Hears every event at once, before those who listen to `events`."""
        self.is_stopped = False
        # Reports are answered at once; what comes beside the media keeps time with it.
        parities = core.translator.parity_paths
        ticks = [
            0.0 if path == FEEDBACK and path not in parities else media_tick for path in range(len(endpoints))
        ]
        self.session: Session[RistEvent] = Session(
            core,
            [SessionPath(endpoint, tick) for endpoint, tick in zip(endpoints, ticks, strict=True)],
            deliver=self._deliver,
            complain=self._complain,
            patience=2 * plan.options.effective_tick,
        )
        self.controls = TunnelControls(core.translator, drain=self._drain, authorize=authorize)
        self._asks = authorize is not None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run the session, and ask the application where it wants to be asked."""
        calls = self.options.dtls is not None and self._plan.remote is not None
        if not self._asks and not calls:
            await self.session.run(task_status=task_status)
            return
        async with trio.open_nursery() as nursery:
            if self._asks:
                nursery.start_soon(self.controls.answer_questions)
            if calls:
                nursery.start_soon(self._keep_called)
            await self.session.run(task_status=task_status)
            nursery.cancel_scope.cancel()

    async def _keep_called(self) -> None:
        plan = self._plan
        again = Reconnector(
            plan.options.reconnect, str(plan.url), entropy=plan.network.entropy, tell=self._tell
        )
        failure = await keep_called(self._endpoints, again, self._was_refused)
        if failure is not None:
            self.fail(failure)

    def _tell(self, event: RistEvent) -> None:
        self.on_event(event)
        self.events.publish(event)

    def fail(self, failure: PeerError) -> None:
        """The peer is not called any more: whoever sends or reads gets *failure*."""
        self.failure = failure
        if self._queue is not None and self.owns_queue:
            self._queue.end(failure)
        self.stop()

    def _was_refused(self, peer: Address, error: PeerError) -> None:
        """A call with DTLS came to nothing."""
        if isinstance(error, (AuthenticationFailed, PeerTimedOut, WrongProtocol)):
            self._refused = error
        self._complain(Trouble(peer, "dtls", str(error)))

    def _drain(self) -> None:
        if not self.is_closed:
            self.session.drain()

    @property
    def local_address(self) -> Address:
        """The address of the media endpoint."""
        return self._endpoints[0].local_address

    @property
    def url(self) -> str:
        """Where the session leads, without its secrets."""
        return str(self._plan.url)

    @property
    def is_connected(self) -> bool:
        """Whether the peer is there now."""
        return self.core.peer.is_connected

    def say_goodbye(self) -> None:
        """Tell the peer that we are leaving."""
        self.core.close(now=current_micros())
        self.session.drain()

    @property
    def was_connected(self) -> bool:
        """Whether a peer has ever answered."""
        return self._connected.is_set()

    async def wait_connected(self) -> None:
        """Wait for the first answer, for ``connect_timeout`` at most."""
        timeout = self.options.connect_timeout
        with trio.move_on_after(timeout if timeout is not None else float("inf")):
            await self._connected.wait()
            self.check_open()
            return
        if self.is_closed:
            raise trio.ClosedResourceError
        raise self.explain_silence(timeout or 0.0)

    def stop(self) -> None:
        """End the session's tasks, close its sockets, end its events; what was received can still be read."""
        self.is_stopped = True
        self.session.stop()
        self.controls.close()
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
            elif self.controls.hear(event):
                continue
            elif type(event) in _EXPLANATIONS:
                self._explanation = event
            self._tell(event)

    def _complain(self, trouble: Trouble) -> None:
        if trouble.kind not in self._troubles:
            self.events.publish(NetworkTrouble(trouble.peer, trouble.kind, trouble.text))
        self._troubles[trouble.kind] = trouble

    def explain_silence(self, timeout: float) -> Silence:
        """The most helpful thing to say about a peer that never answered."""
        target = self._plan.url
        if self._explanation is not None:
            return _refusal(self._explanation)
        if self._refused is not None:
            return self._refused
        heard = [
            reason
            for reason in self.core.translator.dropped
            if any(
                name in reason for name in ("RIST Main", "RIST Simple", "RIST Advanced", "not RIST", "SRT")
            )
        ]
        if heard:
            return WrongProtocol(
                f"no RIST session with {target} in {timeout:g} s, but something else was heard: {heard[0]}",
                hint="check the protocol, and the profile (?profile=simple|main|advanced), at both ends",
            )
        if "refused" in self._troubles:
            return PeerTimedOut(
                f"nobody listens at {target}: the host says the port is closed",
                hint="start the other end first, and mind that "
                + (
                    "RIST Simple needs an even port and the one above it"
                    if self.options.profile == "simple"
                    else "it has to listen on this very port"
                ),
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
    authorize: Authorize | None = None,
) -> Runtime[CoreT]:
    """Start a session in *nursery*; the endpoints are its own from here on, whatever happens."""
    try:
        runtime = Runtime(core, endpoints, plan, media_tick=media_tick, queue=queue, authorize=authorize)
        await nursery.start(runtime.run)
    except BaseException:
        for endpoint in endpoints:
            endpoint.close()
        raise
    return runtime


def _refusal(event: RistEvent) -> AuthenticationFailed:
    match event:
        case events.AuthenticationRefused():
            who = f"the login of {event.username!r}" if event.username else "the login"
            return AuthenticationFailed(
                f"{who} with {event.peer} failed: {event.reason}",
                hint="check username and password, or the listener's file of users",
            )
        case events.ClearTextRefused():
            return AuthenticationFailed(
                f"{event.peer} speaks in the clear, and we have a secret",
                hint="set the same secret there, with an aes-type for libRIST 0.2.7",
            )
        case events.PassphraseMissing():
            return AuthenticationFailed(
                f"{event.peer} enciphers what it sends, and we have no secret", hint="set the peer's secret"
            )
        case events.LoginWanted():
            return AuthenticationFailed(
                f"{event.peer} wants a login", hint="set username and password (a listener: users)"
            )
        case _:
            return AuthenticationFailed(
                "the peer enciphers with another secret than ours", hint="set the same secret at both ends"
            )


def ignore(event: RistEvent) -> None:
    """Hears nothing."""
