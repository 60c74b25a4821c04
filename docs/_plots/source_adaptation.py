"""Draws ``docs/explanation/source-adaptation.svg`` from a run on the simulated network.

Run it from the repository to draw it anew: ``python docs/_plots/source_adaptation.py``. The same numbers come out on
every machine, so a test can tell whether the drawing still tells the truth.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import trio
from trio.testing import MockClock

import terzetto as tz
from terzetto.net.network import use_network
from terzetto.net.simulated import LinkConditions, SimulatedNetwork
from terzetto.testing import deterministic_scheduling

DRAWING: Final = Path(__file__).parent.parent / "explanation" / "source-adaptation.svg"

ADAPTATION: Final = "floor:150,ceiling:1500,start:500,period:500"
_FRAME: Final = 0.04
_PAYLOAD: Final = bytes(1316)

# Seconds, and what the link carries from then on, in bits a second.
CAPACITY: Final = ((0.0, 1_000_000), (40.0, 500_000), (65.0, 1_000_000))
END: Final = 100.0


class Sample(NamedTuple):
    """One moment of the run."""

    at: float
    capacity: int
    advised: int
    lost: int
    """Packets that the link had lost until then."""
    unrecovered: int


def _bottleneck(rate: int) -> LinkConditions:
    # A tenth of a second at a megabit: what a modem's queue may be.
    return LinkConditions(delay=0.03, rate=rate, queue=12_500)


class Encoder:
    """Makes as many payloads as its rate says, a few every frame, as a real one would."""

    def __init__(self) -> None:
        self.rate = 0
        self._credit = 0.0

    def follow(self, rate: int) -> None:
        """Take the advice."""
        self.rate = rate

    def frame(self) -> list[bytes]:
        """The payloads of the next frame."""
        self._credit += self.rate * _FRAME / 8
        count, self._credit = divmod(self._credit, len(_PAYLOAD))
        return [_PAYLOAD] * int(count)


def run() -> list[Sample]:
    """A stream whose link loses half of its rate for a while, two samples a second."""
    with deterministic_scheduling(1):
        return trio.run(_run, clock=MockClock(autojump_threshold=0))


async def _run() -> list[Sample]:
    network = SimulatedNetwork(1)
    studio, cloud = network.add_host("studio"), network.add_host("cloud")
    link, _ = network.connect(studio, cloud, _bottleneck(CAPACITY[0][1]), LinkConditions(delay=0.03))
    samples: list[Sample] = []
    encoder = Encoder()
    with use_network(cloud):
        async with (
            tz.open_rist_receiver("rist://@:5000", adaptation=ADAPTATION, tick=0.04) as receiver,
            trio.open_nursery() as nursery,
        ):
            nursery.start_soon(_watch, receiver)
            with use_network(studio):
                async with tz.open_rist_sender("rist://cloud:5000", adaptation=ADAPTATION) as sender:
                    await sender.wait_connected()
                    sender.on_advice(encoder.follow)
                    began = trio.current_time()
                    for number in range(round(END / _FRAME)):
                        at = number * _FRAME
                        capacity = next(rate for since, rate in reversed(CAPACITY) if at >= since)
                        if capacity != link.conditions.rate:
                            link.change(_bottleneck(capacity))
                        await sender.send_packets(encoder.frame())
                        if number % round(0.5 / _FRAME) == 0:
                            counted = receiver.statistics()
                            samples.append(
                                Sample(at, capacity, encoder.rate, counted.lost, counted.unrecovered)
                            )
                        await trio.sleep_until(began + at + _FRAME)
            nursery.cancel_scope.cancel()
    return samples


async def _watch(receiver: tz.RistReceiver) -> None:
    while True:
        await receiver.receive_packets()


# -- the drawing ---------------------------------------------------------------------------------------------------

_WIDTH, _HEIGHT = 760, 400
_LEFT, _RIGHT, _TOP = 62, 740, 46
_RATES_BOTTOM = 270
_LOSS_TOP, _LOSS_BOTTOM = 300, 352
_TALLEST = 1_250_000
_STYLE = (
    "text{font:13px sans-serif;fill:#444}"
    ".title{font-size:15px;fill:#222}"
    ".grid{stroke:#ddd}"
    ".capacity{fill:none;stroke:#b8862b;stroke-width:2;stroke-dasharray:6 4}"
    ".advised{fill:none;stroke:#2060a8;stroke-width:2}"
    ".lost{stroke:#c0392b;stroke-width:2}"
)


def draw(samples: Sequence[Sample]) -> str:
    """The drawing as SVG."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        "<title>The advised rate climbs to what the link carries, falls with it, and returns</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        *_axes(),
        *_legend(),
    ]
    steps = [(samples[0].at, samples[0].capacity)]
    for before, after in itertools.pairwise(samples):
        if before.capacity != after.capacity:
            steps += [(after.at, before.capacity), (after.at, after.capacity)]
    steps.append((samples[-1].at, samples[-1].capacity))
    parts.append(_line("capacity", steps))
    parts.append(_line("advised", [(each.at, each.advised) for each in samples]))
    most = max(after.lost - before.lost for before, after in itertools.pairwise(samples)) or 1
    for before, after in itertools.pairwise(samples):
        lost = after.lost - before.lost
        if lost:
            height = max(round((_LOSS_BOTTOM - _LOSS_TOP) * lost / most, 1), 2)
            x = _x(after.at)
            parts.append(
                f'<line class="lost" x1="{x}" x2="{x}" y1="{_LOSS_BOTTOM}" y2="{_LOSS_BOTTOM - height:.1f}"/>'
            )
    parts.append(f'<text x="{_LEFT - 8}" y="{_LOSS_TOP + 10}" text-anchor="end">{most}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _axes() -> list[str]:
    parts = []
    for megabits in (0, 0.25, 0.5, 0.75, 1, 1.25):
        y = _y(round(megabits * 1_000_000))
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{megabits:g}</text>')
    parts.append(f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{_LOSS_BOTTOM}" y2="{_LOSS_BOTTOM}"/>')
    parts.append(f'<text x="{_LEFT - 8}" y="{_LOSS_BOTTOM + 4}" text-anchor="end">0</text>')
    parts += [
        f'<text x="{_x(seconds)}" y="{_LOSS_BOTTOM + 20}" text-anchor="middle">{seconds}</text>'
        for seconds in range(0, round(END) + 1, 10)
    ]
    parts.append(f'<text x="{_RIGHT}" y="{_HEIGHT - 8}" text-anchor="end">seconds</text>')
    return parts


def _legend() -> list[str]:
    return [
        f'<text class="title" x="{_LEFT}" y="22">Mbit/s</text>',
        '<line class="capacity" x1="180" x2="215" y1="18" y2="18"/><text x="222" y="22">the link carries</text>',
        '<line class="advised" x1="350" x2="385" y1="18" y2="18"/><text x="392" y="22">the encoder is advised</text>',
        f'<text class="title" x="{_LEFT}" y="{_LOSS_TOP - 8}">packets lost on the way, in half a second</text>',
    ]


def _line(kind: str, points: Sequence[tuple[float, int]]) -> str:
    coordinates = " ".join(f"{_x(at)},{_y(rate)}" for at, rate in points)
    return f'<polyline class="{kind}" points="{coordinates}"/>'


def _x(at: float) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * at / END, 1)


def _y(rate: int) -> float:
    return round(_RATES_BOTTOM - (_RATES_BOTTOM - _TOP) * rate / _TALLEST, 1)


if __name__ == "__main__":
    DRAWING.write_text(draw(run()), encoding="utf-8")
