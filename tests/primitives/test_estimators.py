from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.primitives.estimators import (
    FAST_TIME_CONSTANT,
    SLOW_TIME_CONSTANT,
    JitterEstimator,
    RateMeter,
    RoundTripEstimator,
)


def test_the_first_round_trip_is_the_estimate() -> None:
    estimator = RoundTripEstimator()
    assert estimator.smoothed is None
    estimator.add(40_000)
    assert estimator.smoothed == 40_000


def test_each_later_round_trip_moves_the_estimate_an_eighth_of_the_way() -> None:
    estimator = RoundTripEstimator()
    estimator.add(40_000)
    estimator.add(80_000)
    assert estimator.smoothed == 45_000
    assert estimator.last == 80_000


def test_negative_round_trips_are_ignored() -> None:
    estimator = RoundTripEstimator()
    estimator.add(-1)
    assert estimator.clamped(0, 77) == 77
    estimator.add(10_000)
    estimator.add(-5_000_000)
    assert estimator.smoothed == 10_000
    assert estimator.last == 10_000


def test_limits_apply_when_the_estimate_is_used() -> None:
    estimator = RoundTripEstimator()
    assert estimator.clamped(5_000, 500_000) == 500_000
    estimator.add(1_000)
    assert estimator.clamped(5_000, 500_000) == 5_000
    estimator.add(8_000_000)
    assert estimator.clamped(5_000, 500_000) == 500_000


@given(st.lists(st.integers(0, 10**9), min_size=1))
def test_the_estimate_stays_between_the_samples(samples: list[int]) -> None:
    estimator = RoundTripEstimator()
    for sample in samples:
        estimator.add(sample)
    assert estimator.smoothed is not None
    assert min(samples) <= estimator.smoothed <= max(samples) + 1


@pytest.mark.parametrize("time_constant", [SLOW_TIME_CONSTANT, FAST_TIME_CONSTANT])
@pytest.mark.parametrize("duration", [50_000, 1_000_000, 20_000_000])
def test_a_steady_stream_shows_its_rate_from_the_start(time_constant: int, duration: int) -> None:
    meter = RateMeter(time_constant)
    for now in range(0, duration + 1, 1_000):
        meter.add(125, now)
    assert meter.per_second(duration) == pytest.approx(125_000, rel=0.01)
    assert meter.total == 125 * (duration // 1_000 + 1)


def test_the_fast_meter_sees_a_burst_that_the_slow_one_spreads() -> None:
    fast, slow = RateMeter(FAST_TIME_CONSTANT), RateMeter(SLOW_TIME_CONSTANT)
    for meter in (fast, slow):
        for now in range(0, 10_000_001, 10_000):
            meter.add(100 if now < 9_900_000 else 1_000, now)
    assert fast.per_second(10_000_000) > 60_000
    assert slow.per_second(10_000_000) < 20_000


def test_the_rate_fades_in_silence() -> None:
    meter = RateMeter()
    for now in range(0, 5_000_001, 1_000):
        meter.add(125, now)
    assert meter.per_second(6_000_000) == pytest.approx(125_000 / 2.718, rel=0.02)
    assert meter.per_second(60_000_000) == pytest.approx(0, abs=0.1)


def test_nothing_is_known_before_two_moments() -> None:
    meter = RateMeter()
    assert meter.per_second(0) == 0.0
    meter.add(1_000, 5)
    assert meter.per_second(5) == 0.0
    assert meter.total == 1_000


def test_an_even_stream_has_no_jitter_even_where_timestamps_wrap() -> None:
    jitter = JitterEstimator(90_000)
    for packet in range(1_000):
        jitter.add((0xFFFFFFFF - 450_000 + packet * 900) & 0xFFFFFFFF, packet * 10_000)
    assert jitter.ticks == 0


def test_jitter_approaches_the_mean_deviation() -> None:
    jitter = JitterEstimator(90_000)
    for packet in range(1_000):
        jitter.add(packet * 900, packet * 10_000 + packet % 2 * 2_000)
    assert abs(jitter.ticks - 180) <= 1
    assert jitter.micros == pytest.approx(2_000, rel=0.01)


def test_one_deviation_counts_a_sixteenth() -> None:
    jitter = JitterEstimator(1_000_000)
    jitter.add(0, 0)
    jitter.add(0, 1_600)
    assert jitter.ticks == 100


def test_a_jitter_clock_ticks() -> None:
    with pytest.raises(ValueError, match="positive"):
        JitterEstimator(0)
