"""Draws ``srt-bottleneck.svg``: what a file transfer gets of a link that becomes narrower and wider again.

    python docs/_plots/srt_bottleneck.py [--draw]

Runs the transfers in the simulated network and writes what was measured to ``srt-bottleneck.json``, then draws that;
with ``--draw`` it only draws. Both are the same on every machine: one seed decides everything, and nothing in the
picture comes from a clock.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import trio
import trio.testing

from terzetto.net.network import use_network
from terzetto.net.simulated import SimulatedNetwork
from terzetto.primitives.impairment import LinkConditions
from terzetto.primitives.time import MICROS_PER_SECOND
from terzetto.srt.api import connect_srt_listener, connect_srt_stream
from terzetto.srt.options import SrtOptions

HERE: Final = Path(__file__).parent
DATA: Final = HERE / "srt-bottleneck.json"
PICTURE: Final = HERE / "srt-bottleneck.svg"

# Until when (seconds), and how many Mbit/s pass.
PLAN: Final = ((15, 4.0), (30, 1.5), (50, 6.0))
STEP: Final = 1.0

SCENARIOS: Final = {
    "no loss, 20 ms": (0.0, 0.020),
    "5 % loss, 100 ms": (0.05, 0.100),
    "20 % loss, 300 ms": (0.20, 0.300),
}


def measure(loss: float, round_trip: float, *, seconds: float = PLAN[-1][0]) -> list[float]:
    """Mbit/s that arrived, step by step."""
    return trio.run(_measure, loss, round_trip, seconds, clock=trio.testing.MockClock(autojump_threshold=0))


async def _measure(loss: float, round_trip: float, seconds: float) -> list[float]:
    network = SimulatedNetwork(seed=11)
    here, there = network.add_host("here"), network.add_host("there")
    forth = network.link(here, there, _narrow(PLAN[0][1], loss, round_trip))
    network.link(there, here, LinkConditions(delay=round_trip / 2, loss=loss))
    options = SrtOptions(transmission_type="file", connect_timeout=30.0, read_tick=0.02)
    steps: list[float] = []
    arrived = 0
    async with trio.open_nursery() as nursery:
        with use_network(there):
            listener = await connect_srt_listener(nursery, "srt://:9000", options=options)
        with use_network(here):
            sender = await connect_srt_stream(nursery, "srt://there:9000", options=options)
        receiver = await listener.accept()
        began = network.elapsed() / MICROS_PER_SECOND
        for (until, _), (_, rate) in itertools.pairwise(PLAN):
            forth.change(_narrow(rate, loss, round_trip), at=began + until)

        async def send() -> None:
            while True:
                await sender.send_all(bytes(50_000))

        async def receive() -> None:
            nonlocal arrived
            while True:
                arrived += len(await receiver.receive_some())

        nursery.start_soon(send)
        nursery.start_soon(receive)
        while len(steps) * STEP < seconds:
            before = arrived
            await trio.sleep(STEP)
            steps.append(round((arrived - before) * 8 / STEP / 1e6, 3))
        nursery.cancel_scope.cancel()
    return steps


def _narrow(rate: float, loss: float, round_trip: float) -> LinkConditions:
    """A link with a queue of a tenth of a second."""
    return LinkConditions(delay=round_trip / 2, loss=loss, rate=rate * 1e6, queue=int(rate * 1e6 / 80))


WIDTH: Final = 720
PANEL: Final = 150
LEFT: Final = 46
TOP: Final = 30
MOST: Final = 8.0


def draw(measured: Mapping[str, Sequence[float]]) -> str:
    """The picture: a panel for each scenario, the link as a step, what arrived as a line."""
    height = TOP + PANEL * len(measured) + 24
    lines = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif"'
            ' font-size="12">'
        ),
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        (
            f'<text x="{LEFT}" y="18" font-size="14">Mbit/s of a file that arrive (line) and that the link passes'
            " (grey); means of three seconds</text>"
        ),
    ]
    for index, (name, steps) in enumerate(measured.items()):
        lines += _panel(name, steps, TOP + index * PANEL)
    lines.append(f'<text x="{WIDTH - 70}" y="{height - 6}">seconds</text>')
    lines.append("</svg>")
    return "\n".join(lines) + "\n"


def _panel(name: str, steps: Sequence[float], top: int) -> list[str]:
    bottom = top + PANEL - 30
    end = PLAN[-1][0]

    def x(second: float) -> str:
        return f"{LEFT + (WIDTH - LEFT - 10) * second / end:.1f}"

    def y(rate: float) -> str:
        return f"{bottom - (PANEL - 42) * min(rate, MOST) / MOST:.1f}"

    lines = []
    began = 0
    for until, rate in PLAN:
        lines.append(
            f'<rect x="{x(began)}" y="{y(rate)}" width="{float(x(until)) - float(x(began)):.1f}"'
            f' height="{bottom - float(y(rate)):.1f}" fill="#dddddd"/>'
        )
        began = until
    lines += [f'<text x="{LEFT - 22}" y="{float(y(rate)) + 4:.1f}">{rate}</text>' for rate in (0, 2, 4, 6)]
    lines += [
        f'<text x="{float(x(second)) - 6:.1f}" y="{bottom + 15}">{second}</text>'
        for second in range(0, end + 1, 10)
    ]
    means = [
        sum(steps[max(0, at - 2) : at + 1]) / len(steps[max(0, at - 2) : at + 1]) for at in range(len(steps))
    ]
    points = " ".join(f"{x((at + 1) * STEP)},{y(mean)}" for at, mean in enumerate(means))
    lines.append(f'<polyline points="{points}" fill="none" stroke="#1b6ca8" stroke-width="2"/>')
    lines.append(f'<line x1="{LEFT}" y1="{bottom}" x2="{WIDTH - 10}" y2="{bottom}" stroke="black"/>')
    lines.append(f'<text x="{LEFT + 8}" y="{top + 14}" font-weight="bold">{name}</text>')
    return lines


def main() -> None:
    """Measure unless told to draw only."""
    if "--draw" not in sys.argv:
        measured = {name: measure(*conditions) for name, conditions in SCENARIOS.items()}
        DATA.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
    PICTURE.write_text(draw(json.loads(DATA.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main()
