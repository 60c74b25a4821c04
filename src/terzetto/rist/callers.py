"""Whoever calls one of our ports is a path of one flow.

The callers share the sockets and the flow; each is a leg with a session of its own, so that one that is slow, lost or
hostile costs the others nothing. Who proves nothing within a few seconds, and who falls silent, is let go.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, TypeVar

import trio

from terzetto.driver.delivery import PacketQueue
from terzetto.driver.mux import DatagramMux, Route, by_peer
from terzetto.errors import InvalidUrl, PeerTimedOut
from terzetto.net.endpoint import DatagramEndpoint, Run
from terzetto.primitives.datagrams import Address
from terzetto.rist.core.inflow import Inflow
from terzetto.rist.core.outflow import Outflow
from terzetto.rist.core.profile import MEDIA
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.core.sender import Sender
from terzetto.rist.events import PeerLost, RistEvent, RistPacket
from terzetto.rist.group import Group, LegT, Path
from terzetto.rist.plan import Plan
from terzetto.rist.runtime import Silence
from terzetto.rist.tunnel_controls import Authorize

__all__ = ["Callers", "check_listens", "start_callers"]

# A login takes a handful of round trips, and may be asked about by the application.
_LOGIN_PATIENCE: Final = 15.0


class Callers(Group[LegT]):
    """A group whose paths are those that call; at most *limit* of them hold state at once."""

    def __init__(
        self,
        plan: Plan,
        endpoints: list[DatagramEndpoint],
        flow: Inflow | Outflow,
        make_leg: Callable[[Plan], LegT],
        *,
        limit: int,
        media_tick: float,
        queue: PacketQueue[RistPacket] | None,
        authorize: Authorize | None,
        route: Route = by_peer,
    ) -> None:
        super().__init__(flow, make_leg, plan.options, media_tick=0.0, queue=queue, authorize=authorize)
        self._plan = plan
        self._endpoints = endpoints
        self._limit = limit
        self._callers: dict[Hashable, Path[LegT]] = {}
        self._muxes = [
            DatagramMux(
                endpoint,
                route=route,
                strangers=self._meet,
                tick=media_tick if channel == MEDIA else 0.0,
                limit=limit,
            )
            for channel, endpoint in enumerate(endpoints)
        ]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve whoever calls until closed."""
        async with trio.open_nursery() as nursery:
            for mux in self._muxes:
                await nursery.start(mux.run)
            await super().run(task_status=task_status)
            nursery.cancel_scope.cancel()

    def _meet(self, key: Hashable, run: Run) -> None:
        del run
        if key in self._callers or len(self._callers) >= self._limit or self.is_stopped:
            return
        assert self._nursery is not None
        path = Path(self._plan, self._make_leg(self._plan))
        self._callers[key] = path
        self._start(path, [mux.open(key) for mux in self._muxes])
        self.paths[path.leg.index] = path
        self._nursery.start_soon(self._serve, key, path)

    async def _serve(self, key: Hashable, path: Path[LegT]) -> None:
        try:
            with path.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._expire_silently, path)
                    await self._run(path)
                    nursery.cancel_scope.cancel()
        finally:
            del self._callers[key]
            runtime, path.runtime = path.runtime, None
            if runtime is not None:
                runtime.stop()
                self.session.retire(runtime)
            # Once all is over, the paths are what the last statistics are of.
            if not self.is_stopped and self.paths.pop(path.leg.index, None) is not None:
                self._flow_leaves(path)

    async def _expire_silently(self, path: Path[LegT]) -> None:
        patience = self.options.session_timeout
        if self._plan.credentials is not None or self._authorize is not None:
            patience = max(patience, _LOGIN_PATIENCE)
        await trio.sleep(patience)
        if not path.leg.peer.is_connected:
            self._let_go(path)

    def _hear(self, path: Path[LegT], event: RistEvent) -> None:
        super()._hear(path, event)
        if type(event) is PeerLost:
            self._let_go(path)

    def _let_go(self, path: Path[LegT]) -> None:
        path.scope.cancel()

    @property
    def local_address(self) -> Address:
        """Where we listen."""
        return self._endpoints[MEDIA].local_address

    def explain_silence(self, waited: float) -> Silence:
        """What to say while nobody has called."""
        stories = [runtime.explain_silence(waited) for runtime in self.runtimes()]
        if stories:
            return stories[0]
        return PeerTimedOut(
            f"nobody called {self._plan.url} in {waited:g} s",
            hint="check that the others call this host and port, and that UDP passes the firewalls",
        )

    def stop(self) -> None:
        """End every session, the sockets and the events."""
        super().stop()
        for mux in self._muxes:
            mux.close()


CallersT = TypeVar("CallersT", bound=Callers[Sender] | Callers[Receiver])


def check_listens(plan: Plan, who: str) -> None:
    """Raise InvalidUrl where *who* would call, and nobody could call it."""
    if plan.remote is not None:
        raise InvalidUrl(f"{plan.url} calls, and {who} waits to be called", hint="write rist://@host:port")


async def start_callers(
    nursery: trio.Nursery, plan: Plan, make: Callable[[list[DatagramEndpoint]], CallersT]
) -> CallersT:
    """Open the sockets of *plan*, *make* a group on them, and start it in *nursery*."""
    endpoints = await plan.open_endpoints()
    try:
        callers = make(endpoints)
        await nursery.start(callers.run)
    except BaseException:
        for endpoint in endpoints:
            endpoint.close()
        raise
    return callers
