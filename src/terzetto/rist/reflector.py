"""One sender that listens, many receivers that call: each gets the whole flow, and repeats of its own.

The receivers share the sockets and the flow; each is a leg with a session of its own, so that one that is slow, lost or
hostile costs the others nothing. Who proves nothing within a few seconds, and who falls silent, is let go.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import trio

from terzetto.driver.mux import DatagramMux
from terzetto.errors import InvalidUrl, PeerTimedOut, UnsupportedOperation
from terzetto.net.endpoint import DatagramEndpoint, Run
from terzetto.primitives.datagrams import Address
from terzetto.rist.core.profile import MEDIA
from terzetto.rist.core.sender import Sender
from terzetto.rist.events import PeerLost, RistEvent
from terzetto.rist.group import Group, Path
from terzetto.rist.group_plans import new_outflow
from terzetto.rist.plan import Plan
from terzetto.rist.runtime import Silence
from terzetto.rist.tunnel_controls import Authorize

__all__ = ["MAX_RECEIVERS", "Reflector", "start_reflector"]

MAX_RECEIVERS: Final = 256
"""Callers that may hold state at once; packets of any more are counted as strangers'."""

# A login takes a handful of round trips, and may be asked about by the application.
_LOGIN_PATIENCE: Final = 15.0


class Reflector(Group[Sender]):
    """A group whose paths are the receivers that call."""

    def __init__(
        self,
        plan: Plan,
        endpoints: list[DatagramEndpoint],
        *,
        authorize: Authorize | None,
    ) -> None:
        outflow = new_outflow(plan, plan.options, is_for_many=True)
        super().__init__(
            outflow,
            lambda one: one.make_sender(outflow),
            plan.options,
            media_tick=0.0,
            queue=None,
            authorize=authorize,
        )
        self.outflow = outflow
        self._plan = plan
        self._endpoints = endpoints
        self._callers: dict[Hashable, Path[Sender]] = {}
        self._muxes = [
            DatagramMux(endpoint, strangers=self._meet, limit=MAX_RECEIVERS) for endpoint in endpoints
        ]

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve whoever calls until the sender is closed."""
        async with trio.open_nursery() as nursery:
            for mux in self._muxes:
                await nursery.start(mux.run)
            await super().run(task_status=task_status)
            nursery.cancel_scope.cancel()

    def _meet(self, key: Hashable, run: Run) -> None:
        del run
        if key in self._callers or len(self._callers) >= MAX_RECEIVERS or self.is_stopped:
            return
        assert self._nursery is not None
        path = Path(self._plan, self._make_leg(self._plan))
        self._callers[key] = path
        self._start(path, [mux.open(key) for mux in self._muxes])
        self.paths[path.leg.index] = path
        self._nursery.start_soon(self._serve, key, path)

    async def _serve(self, key: Hashable, path: Path[Sender]) -> None:
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
            if self.paths.pop(path.leg.index, None) is not None:
                self.outflow.leave(path.leg)

    async def _expire_silently(self, path: Path[Sender]) -> None:
        patience = self.options.session_timeout
        if self._plan.credentials is not None or self._authorize is not None:
            patience = max(patience, _LOGIN_PATIENCE)
        await trio.sleep(patience)
        if not path.leg.peer.is_connected:
            path.scope.cancel()

    def _hear(self, path: Path[Sender], event: RistEvent) -> None:
        super()._hear(path, event)
        if type(event) is PeerLost:
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
            hint="check that receivers call this host and port, and that UDP passes the firewalls",
        )

    def stop(self) -> None:
        """End every session, the sockets and the events."""
        super().stop()
        for mux in self._muxes:
            mux.close()


async def start_reflector(nursery: trio.Nursery, plan: Plan, authorize: Authorize | None) -> Reflector:
    """Start a reflector in *nursery*."""
    if plan.remote is not None:
        raise InvalidUrl(
            f"{plan.url} calls, and a reflector waits to be called", hint="write rist://@host:port"
        )
    if plan.options.fec is not None or plan.options.adaptation is not None or plan.options.one_way:
        raise UnsupportedOperation(
            "a reflector has no fec, adaptation or one-way", hint="leave them out, or send to one receiver"
        )
    endpoints = await plan.open_endpoints()
    try:
        reflector = Reflector(plan, endpoints, authorize=authorize)
        await nursery.start(reflector.run)
    except BaseException:
        for endpoint in endpoints:
            endpoint.close()
        raise
    return reflector
