"""One receiver that listens, several callers that bring it one flow (SMPTE ST 2022-7 at one port).

The first flow that comes is the one: who brings another is not listened to while it goes on. The flow outlives every
path: the last one's leg stays when its peer is gone, and keeps the time of what is still to be handed out, until
somebody calls again.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final

import trio

from terzetto.driver.delivery import PacketQueue
from terzetto.driver.mux import by_peer
from terzetto.net.endpoint import DatagramEndpoint, Run
from terzetto.rist.callers import Callers, check_listens, start_callers
from terzetto.rist.core.receiver import Receiver
from terzetto.rist.events import RistEvent, RistPacket
from terzetto.rist.group import Path
from terzetto.rist.group_plans import new_inflow
from terzetto.rist.plan import Plan
from terzetto.rist.tunnel_controls import Authorize

__all__ = ["MAX_CALLERS", "Gathering", "start_gathering"]

MAX_CALLERS: Final = 64
"""Callers that may hold state at once, strangers among them; packets of any more are not looked at."""


class Gathering(Callers[Receiver]):
    """A group whose paths are the callers of one flow."""

    def __init__(
        self,
        plan: Plan,
        endpoints: list[DatagramEndpoint],
        queue: PacketQueue[RistPacket],
        *,
        authorize: Authorize | None,
    ) -> None:
        inflow = new_inflow(plan, plan.options)
        inflow.takes_one_flow = True
        super().__init__(
            plan,
            endpoints,
            inflow,
            lambda one: one.make_receiver(inflow),
            limit=MAX_CALLERS,
            media_tick=plan.options.effective_tick,
            queue=queue,
            authorize=authorize,
            # What belongs together comes from several ports of a host, where we have several.
            route=by_peer if len(endpoints) == 1 else _by_host,
        )
        self.inflow = inflow

    def _let_go(self, path: Path[Receiver]) -> None:
        if path.leg.brings is None:
            super()._let_go(path)

    def _hear(self, path: Path[Receiver], event: RistEvent) -> None:
        super()._hear(path, event)
        bringing = [each.leg for each in self.paths.values() if each.leg.brings is not None]
        if any(leg.peer.is_connected for leg in bringing):
            for other in list(self.paths.values()):
                if other.leg.brings is not None and not other.leg.peer.is_connected:
                    other.scope.cancel()


def _by_host(run: Run) -> Iterable[tuple[Hashable, Run]]:
    return ((run.peer.host, run),)


async def start_gathering(
    nursery: trio.Nursery, plan: Plan, queue: PacketQueue[RistPacket], authorize: Authorize | None
) -> Gathering:
    """Start a gathering in *nursery*."""
    check_listens(plan, "a receiver of many callers")
    return await start_callers(
        nursery, plan, lambda endpoints: Gathering(plan, endpoints, queue, authorize=authorize)
    )
