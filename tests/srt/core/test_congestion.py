"""What congestion controllers conclude from what they are told."""

from __future__ import annotations

import pytest

from terzetto.srt.congestion import AckNotice, CongestionController, ControllerFactory, LossNotice, PathLimits
from terzetto.srt.core.file_congestion import FileController
from terzetto.srt.core.probing_congestion import ProbingController
from terzetto.srt.options import SrtOptions
from tests.srt.core.pair import CALLER, LISTENER, SECOND, Pair

LIMITS = PathLimits(mss=1500, payload_limit=1456, largest_window=8192, first_position=0, max_bandwidth=-1)


def ack(
    position: int, now: int, *, rate: int = 1000, trip: int = 20_000, capacity: int = 10_000
) -> AckNotice:
    return AckNotice(
        position=position,
        acknowledged=16,
        in_flight=100,
        round_trip=trip,
        receive_rate=rate,
        capacity=capacity,
        lost=0,
        now=now,
    )


def loss(first: int, highest: int, *, lost: int) -> LossNotice:
    return LossNotice(
        first=first, reported=lost, lost=lost, highest_sent=highest, in_flight=100, round_trip=20_000, now=0
    )


def test_filecc_opens_its_window_by_what_is_acknowledged_until_a_loss() -> None:
    controller = FileController(LIMITS)
    assert (controller.window, controller.period) == (16, 1.0)
    controller.on_ack(ack(16, 10_000))
    controller.on_ack(ack(48, 20_000))
    assert controller.window == 16 + 48
    controller.on_ack(ack(64, 25_000))
    assert controller.window == 64, "not more often than every ten milliseconds"
    controller.on_loss(loss(60, 100, lost=0))
    assert controller.period == pytest.approx(1000, rel=0.01), "the rate that came through"
    controller.on_ack(ack(100, 40_000))
    assert controller.window == pytest.approx(1000 * 0.030 + 16)


def test_filecc_slows_down_once_for_each_congestion_and_not_for_a_trifle() -> None:
    controller = FileController(LIMITS)
    controller.on_ack(ack(16, 10_000))
    controller.on_loss(loss(60, 100, lost=0))
    controller.on_loss(loss(101, 200, lost=10))
    slower = controller.period
    assert slower == pytest.approx(1030, rel=0.01)
    controller.on_loss(loss(300, 400, lost=0))
    assert controller.period == slower, "less than two in a hundred of what is in flight"


def test_filecc_grows_towards_the_capacity() -> None:
    controller = FileController(LIMITS)
    controller.on_ack(ack(16, 10_000))
    controller.on_timeout(now=0)
    periods = []
    for step in range(2, 60):
        controller.on_ack(ack(16 * step, 10_000 * step))
        periods.append(controller.period)
    assert periods == sorted(periods, reverse=True)
    assert periods[-1] < 0.9 * periods[0]


@pytest.mark.parametrize("kind", [FileController, ProbingController])
def test_no_controller_exceeds_the_limit(kind: ControllerFactory) -> None:
    controller = kind(LIMITS)
    controller.limit(1_500_000)
    for step in range(1, 200):
        controller.on_sent(20, 20 * 1456, now=step * 20_000)
        controller.on_ack(ack(16 * step, 20_000 * step, rate=50_000))
    assert controller.bandwidth <= 1_500_001
    assert controller.period >= 999.9


class Bottleneck:
    """A path of *capacity* packets per second, with chance losses and a queue, in steps of ten milliseconds."""

    def __init__(self, capacity: int, *, trip: int, chance: float = 0.0) -> None:
        self.capacity = capacity
        self.trip = trip
        self.chance = chance
        self.queue = 0.0
        self.now = 0
        self.position = 0.0
        self.rates: list[float] = []

    def run(self, controller: CongestionController, seconds: int) -> None:
        for _ in range(100 * seconds):
            self.now += 10_000
            rate = SECOND / controller.period
            controller.on_sent(round(rate / 100), round(rate / 100) * 1456, now=self.now)
            arriving = rate * (1 - self.chance)
            self.queue = min(max(0.0, self.queue + (arriving - self.capacity) / 100), self.capacity / 5)
            through = self.capacity if self.queue else arriving
            self.rates = [*self.rates[-24:], through]
            self.position += through / 100
            controller.on_ack(
                ack(
                    int(self.position),
                    self.now,
                    rate=int(sum(self.rates) / len(self.rates)),
                    trip=self.trip + int(self.queue * SECOND / self.capacity),
                )
            )


@pytest.mark.parametrize("chance", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("trip", [1000, 100_000, 1_000_000])
def test_probing_finds_the_bottleneck_whatever_chance_takes(chance: float, trip: int) -> None:
    controller = ProbingController(LIMITS)
    path = Bottleneck(5000, trip=trip, chance=chance)
    path.run(controller, 60)
    before = path.position
    path.run(controller, 20)
    assert path.position - before > 0.85 * 20 * 5000


def test_probing_follows_a_bottleneck_that_changes() -> None:
    controller = ProbingController(LIMITS)
    path = Bottleneck(5000, trip=50_000)
    path.run(controller, 10)
    for capacity in (1000, 8000):
        path.capacity = capacity
        path.run(controller, 15)
        before = path.position
        path.run(controller, 10)
        assert path.position - before > 0.85 * 10 * capacity


def test_an_application_brings_its_own_controller() -> None:
    class Steady(CongestionController):
        """A hundred packets a second, come what may."""

        period = 10_000.0

        def __init__(self, limits: PathLimits) -> None:
            self.heard: list[str] = []

        def on_ack(self, ack: AckNotice) -> None:
            self.heard.append("ack")

        def on_loss(self, loss: LossNotice) -> None:
            self.heard.append("loss")

        def on_timeout(self, *, now: int) -> None:
            self.heard.append("timeout")

        @property
        def bandwidth(self) -> int:
            return 150_000

    pair = Pair(
        caller=SrtOptions(transmission_type="file", controller=Steady),
        listener=SrtOptions(transmission_type="file"),
    )
    sender, _ = pair.connect()
    pair.send([bytes(1456)] * 500)
    pair.run(for_=2 * SECOND)
    assert 195 <= len(pair.delivered[LISTENER]) <= 205
    controller = sender.sender.controller
    assert isinstance(controller, Steady)
    assert "ack" in controller.heard
    assert sum(side == CALLER for _, side, _ in pair.wire) > 195
