"""Several paths, one flow: a nursery with a session for each path, and what they have in common.

A path that fails is an event; its sockets are opened again after a while, and its siblings do not notice::

    path 0: endpoints <-> session <-> leg --+
    path 1: endpoints <-> session <-> leg --+--> flow --> queue --> reader
    ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Final, Generic, TypeVar

import trio

from terzetto.driver.clock import current_micros
from terzetto.driver.delivery import EventHub, PacketQueue
from terzetto.driver.reconnecting import Reconnector
from terzetto.errors import (
    AllPathsFailed,
    InvalidOption,
    PeerError,
    PeerTimedOut,
    TerzettoError,
)
from terzetto.net.endpoint import DatagramEndpoint
from terzetto.primitives.datagrams import Address
from terzetto.primitives.time import Micros
from terzetto.rist.core.inflow import Inflow
from terzetto.rist.core.outflow import Outflow
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.events import (
    PathDown,
    PathUp,
    PeerConnected,
    PeerLost,
    RistEvent,
    RistPacket,
)
from terzetto.rist.group_sessions import GroupControls, GroupPump
from terzetto.rist.options import RistOptions
from terzetto.rist.plan import Plan
from terzetto.rist.runtime import Lifetime, Runtime, Silence, ignore
from terzetto.rist.tunnel_controls import Authorize

__all__ = ["Group", "Path", "start_group"]

LegT = TypeVar("LegT", bound=Sender | Receiver)

# What the world does to a socket; anything else is a mistake of ours, and loud.
_WORLDLY: Final = (OSError, TerzettoError, trio.BrokenResourceError, trio.ClosedResourceError)


class Path(Generic[LegT]):
    """One way of a group: its leg lives as long as the path, its session as long as the sockets."""

    def __init__(self, plan: Plan, leg: LegT) -> None:
        self.plan = plan
        self.leg = leg
        self.runtime: Runtime[LegT] | None = None
        self.scope = trio.CancelScope()
        self.failure: Exception | None = None
        """Why it is given up."""

    @property
    def url(self) -> str:
        """Where it leads, without its secrets."""
        return str(self.plan.url)


class Group(Lifetime, Generic[LegT]):
    """The paths of one flow; offers senders and receivers what a `Runtime` offers them."""

    def __init__(
        self,
        flow: Inflow | Outflow,
        make_leg: Callable[[Plan], LegT],
        options: RistOptions,
        *,
        media_tick: float,
        queue: PacketQueue[RistPacket] | None,
        authorize: Authorize | None = None,
    ) -> None:
        super().__init__(queue)
        self.options = options
        self.events: EventHub[RistEvent] = EventHub()
        self.paths: dict[int, Path[LegT]] = {}
        self.session: GroupPump[LegT] = GroupPump(self.runtimes)
        self.controls: GroupControls[LegT] = GroupControls(self.runtimes)
        self.is_stopped = False
        self._flow = flow
        self._make_leg = make_leg
        self._media_tick = media_tick
        self._authorize = authorize
        self.on_event: Callable[[RistEvent], None] = ignore
        """Hears every event at once, before those who listen to `events`."""
        self._connected = trio.Event()
        self._stop = trio.Event()
        self._nursery: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Be the paths' nursery until the group is closed."""
        try:
            async with trio.open_nursery() as self._nursery:
                task_status.started()
                await self._stop.wait()
                self._nursery.cancel_scope.cancel()
        finally:
            self.stop()

    # -- paths ---------------------------------------------------------------------------------------------------

    def runtimes(self) -> list[Runtime[LegT]]:
        """The running sessions, in the order of their paths."""
        return [path.runtime for path in self.paths.values() if path.runtime is not None]

    async def add(self, plan: Plan) -> int:
        """Open a path; its number."""
        self.check_open()
        assert self._nursery is not None, "the group is not running yet"
        endpoints = await plan.open_endpoints()
        try:
            leg = self._make_leg(plan)
            path = Path(plan, leg)
            self._start(path, endpoints)
        except BaseException:
            for endpoint in endpoints:
                endpoint.close()
            raise
        self.paths[leg.index] = path
        self._nursery.start_soon(self._look_after, path)
        return leg.index

    async def remove(self, index: int) -> None:
        """Say goodbye on a path, and close it."""
        path = self.path(index)
        if len(self.paths) == 1:
            raise InvalidOption(
                f"path {index} is the last one", hint="close the stream, or add another path before"
            )
        del self.paths[index]
        if path.runtime is not None:
            path.leg.close(now=current_micros())
            path.runtime.session.drain()
        self._flow_leaves(path)
        path.scope.cancel()
        if path.runtime is not None:
            path.runtime.stop()
        self.session.drain()
        await trio.lowlevel.checkpoint()

    def path(self, index: int) -> Path[LegT]:
        """The path of that number."""
        if index not in self.paths:
            known = ", ".join(map(str, self.paths))
            raise InvalidOption(f"there is no path {index!r}", hint=f"there are {known}")
        return self.paths[index]

    def set_weight(self, index: int, weight: int) -> None:
        """Give a path another share of the load."""
        if weight < 0:
            raise InvalidOption(f"weight is {weight!r}, must be 0 or more")
        leg = self.path(index).leg
        leg.set_weight(weight)

    def _flow_leaves(self, path: Path[LegT]) -> None:
        flow, leg = self._flow, path.leg
        if isinstance(flow, Inflow):
            assert isinstance(leg, Receiver)
            flow.leave(leg)
        else:
            assert isinstance(leg, Sender)
            flow.leave(leg)

    def _start(self, path: Path[LegT], endpoints: list[DatagramEndpoint]) -> Runtime[LegT]:
        runtime: Runtime[LegT] = Runtime(
            path.leg,
            endpoints,
            path.plan,
            media_tick=self._media_tick,
            queue=self._queue,
            authorize=self._authorize,
        )
        runtime.owns_queue = False
        runtime.on_event = partial(self._hear, path)
        runtime.session.on_drained = self._drain_others
        if isinstance(self._flow, Inflow):
            runtime.session.on_late = self._read_all
        runtime.controls.on_out_of_band = partial(self.controls.hear_oob, path.leg.index)
        path.runtime = runtime
        path.leg.is_down = False
        return runtime

    async def _look_after(self, path: Path[LegT]) -> None:
        """Run a path's session; when its sockets fail, open others as the policy says."""
        again = Reconnector(
            path.plan.options.reconnect,
            path.url,
            entropy=path.plan.network.entropy,
            tell=self.events.publish,
        )
        with path.scope:
            while True:
                started = trio.current_time()
                runtime = path.runtime
                reason = await self._run(path)
                if self.is_stopped:
                    return
                self._failed(path, reason)
                if runtime is not None and runtime.failure is not None:
                    self._give_up(path, runtime.failure)
                    return
                # New sockets prove nothing: it is their lasting that does.
                again.lasted(trio.current_time() - started)
                while path.runtime is None:
                    if not await again.wait(reason):
                        self._give_up(path, PeerError(f"{path.url}: {reason}"))
                        return
                    try:
                        self._start(path, await path.plan.open_endpoints())
                    except _WORLDLY as exc:
                        reason = str(exc)
                        self.events.publish(PathDown(path.leg.index, path.url, reason))

    def _give_up(self, path: Path[LegT], failure: Exception) -> None:
        """A path is tried no more; with the last one the session fails."""
        path.failure = failure
        causes = [each.failure for each in self.paths.values() if each.failure is not None]
        if len(causes) < len(self.paths):
            return
        self.failure = AllPathsFailed("every path was given up", causes)
        if self._queue is not None:
            self._queue.end(self.failure)
        self.stop()

    async def _run(self, path: Path[LegT]) -> str:
        """Run the session to its end, and say why it ended."""
        assert path.runtime is not None
        try:
            await path.runtime.run()
        except _WORLDLY as exc:
            return str(exc) or type(exc).__name__
        except BaseExceptionGroup as group:
            worldly, rest = group.split(_WORLDLY)
            if rest is not None or worldly is None:
                raise
            cause: BaseException = worldly
            while isinstance(cause, BaseExceptionGroup):
                cause = cause.exceptions[0]
            return str(cause) or type(cause).__name__
        return "its session was closed"

    def _failed(self, path: Path[LegT], reason: str) -> None:
        runtime, path.runtime = path.runtime, None
        if runtime is not None:
            runtime.stop()
            self.session.retire(runtime)
        path.leg.fail(now=current_micros())
        if isinstance(self._flow, Inflow) and isinstance(path.leg, Receiver):
            self._flow.without(path.leg)
        self.events.publish(PathDown(path.leg.index, path.url, reason))
        self.session.drain()

    def _read_all(self, now: Micros) -> None:
        """Whatever kept one path from reading kept all: what waits at the others came in time, and fills gaps.

        Otherwise the path that wakes first would have the flow give up what the next is about to bring.
        """
        for runtime in self.runtimes():
            with suppress(*_WORLDLY):  # its own reader finds out
                runtime.session.take_waiting(now)

    def _drain_others(self) -> None:
        """What one leg heard may have given another something to say."""
        for path in self.paths.values():
            if path.runtime is not None and path.leg.has_output:
                path.runtime.session.drain()

    def _hear(self, path: Path[LegT], event: RistEvent) -> None:
        self.on_event(event)
        self.events.publish(event)
        if type(event) is PeerConnected:
            self._connected.set()
            self.events.publish(PathUp(path.leg.index, path.url, event.peer))
        elif type(event) is PeerLost:
            reason = (
                f"{event.peer} has been silent for {event.silent_for:.1f} s"
                if event.silent_for
                else f"{event.peer} said goodbye"
            )
            self.events.publish(PathDown(path.leg.index, path.url, reason))

    # -- what a runtime offers -----------------------------------------------------------------------------------

    @property
    def local_address(self) -> Address:
        """The address of the first path."""
        return self.runtimes()[0].local_address

    @property
    def is_connected(self) -> bool:
        """Whether a peer is there on one path at least."""
        return any(path.leg.peer.is_connected for path in self.paths.values())

    @property
    def was_connected(self) -> bool:
        """Whether a peer has ever answered on any path."""
        return self._connected.is_set()

    async def wait_connected(self) -> None:
        """Wait for the first answer on any path, for ``connect_timeout`` at most."""
        timeout = self.options.connect_timeout
        with trio.move_on_after(float("inf") if timeout is None else timeout) as waiting:
            await self._connected.wait()
        self.check_open()
        if waiting.cancelled_caught:
            raise self.explain_silence(timeout or 0.0)

    def explain_silence(self, waited: float) -> Silence:
        """The most helpful thing to say when no path has an answer: the first's story, with the others' as notes."""
        stories = [runtime.explain_silence(waited) for runtime in self.runtimes()]
        if not stories:
            return PeerTimedOut(f"none of the {len(self.paths)} paths could be opened again in {waited:g} s")
        first, *others = stories
        for other in others:
            first.add_note(f"and {other}")
        return first

    def say_goodbye(self) -> None:
        """Tell every peer that we are leaving."""
        for runtime in self.runtimes():
            runtime.say_goodbye()

    def stop(self) -> None:
        """End every session and the events; what was received can still be read."""
        self.is_stopped = True
        for runtime in self.runtimes():
            runtime.stop()
        self._stop.set()
        self._connected.set()
        self.controls.close()
        self.events.close()


async def start_group(nursery: trio.Nursery, group: Group[LegT], plans: Sequence[Plan]) -> None:
    """Start *group* in *nursery*, and open its first paths: all of them, or none."""
    await nursery.start(group.run)
    try:
        for plan in plans:
            await group.add(plan)
    except BaseException:
        group.close()
        raise
