"""``terzetto relay IN OUT [OUT...]``."""

from __future__ import annotations

import signal
import sys

import trio

from terzetto.gateway.registry import plan_sink, plan_source
from terzetto.gateway.route import Route


def relay(source: str, *sinks: str) -> int:
    """Carry media from one input to one or more outputs."""
    return trio.run(_main, source, sinks)


async def _main(source, sinks):
    def notice(n):
        print(n, file=sys.stderr)

    route = Route(plan_source(source), [plan_sink(s) for s in sinks], notice=notice)

    async def sig(task_status):
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            n = 0
            async for _ in signals:
                route.stop()
                n += 1
                if n > 1:
                    nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        await nursery.start(sig)
        await route.run()
        nursery.cancel_scope.cancel()
    return 0
