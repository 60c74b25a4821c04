"""One sender that listens, many receivers that call: each gets the whole flow, and repeats of its own."""

from __future__ import annotations

from typing import Final

import trio

from terzetto.errors import UnsupportedOperation
from terzetto.net.endpoint import DatagramEndpoint
from terzetto.rist.callers import Callers, check_listens, start_callers
from terzetto.rist.core.sender import Sender
from terzetto.rist.group_plans import new_outflow
from terzetto.rist.plan import Plan
from terzetto.rist.tunnel_controls import Authorize

__all__ = ["MAX_RECEIVERS", "Reflector", "start_reflector"]

MAX_RECEIVERS: Final = 256
"""Callers that may hold state at once; packets of any more are counted as strangers'."""


class Reflector(Callers[Sender]):
    """A group whose paths are the receivers that call."""

    def __init__(self, plan: Plan, endpoints: list[DatagramEndpoint], *, authorize: Authorize | None) -> None:
        outflow = new_outflow(plan, plan.options, is_for_many=True)
        super().__init__(
            plan,
            endpoints,
            outflow,
            lambda one: one.make_sender(outflow),
            limit=MAX_RECEIVERS,
            media_tick=0.0,
            queue=None,
            authorize=authorize,
        )
        self.outflow = outflow


async def start_reflector(nursery: trio.Nursery, plan: Plan, authorize: Authorize | None) -> Reflector:
    """Start a reflector in *nursery*."""
    check_listens(plan, "a reflector")
    if plan.options.fec is not None or plan.options.adaptation is not None or plan.options.one_way:
        raise UnsupportedOperation(
            "a reflector has no fec, adaptation or one-way", hint="leave them out, or send to one receiver"
        )
    return await start_callers(
        nursery, plan, lambda endpoints: Reflector(plan, endpoints, authorize=authorize)
    )
