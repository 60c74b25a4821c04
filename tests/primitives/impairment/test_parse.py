"""Quantities mean what people who type them mean."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from terzetto.primitives.impairment import BurstLoss, IndependentLoss
from terzetto.primitives.impairment.parse import (
    parse_burst,
    parse_conditions,
    parse_duration,
    parse_rate,
    parse_share,
    parse_size,
)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_share, "5%", 0.05),
        (parse_share, "0.1 %", 0.001),
        (parse_share, ".25", 0.25),
        (parse_share, "100%", 1.0),
        (parse_duration, "40ms", 0.040),
        (parse_duration, "1.5s", 1.5),
        (parse_duration, "500us", 0.0005),
        (parse_duration, "0", 0.0),
        (parse_rate, "10Mbit", 10e6),
        (parse_rate, "800k", 800e3),
        (parse_rate, "2.5Mbit/s", 2.5e6),
        (parse_size, "64kB", 64_000),
        (parse_size, "1MiB", 1 << 20),
        (parse_size, "1500", 1500),
    ],
)
def test_a_quantity_is_understood(parse: Callable[[str], float], text: str, value: float) -> None:
    assert parse(text) == pytest.approx(value)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (parse_share, "5"),
        (parse_share, "101%"),
        (parse_share, "5ms"),
        (parse_share, "-1%"),
        (parse_share, "nan"),
        (parse_duration, "40"),
        (parse_duration, "forty"),
        (parse_duration, "-1ms"),
        (parse_rate, "0"),
        (parse_rate, "fast"),
        (parse_size, "64 elephants"),
        (parse_burst, "5%"),
        (parse_burst, "5%x"),
        (parse_burst, "5%x0.5"),
        (parse_burst, "1%:2%:3%:4%:5%"),
    ],
)
def test_nonsense_is_refused_with_an_example(parse: Callable[[str], float], text: str) -> None:
    with pytest.raises(ValueError, match=r"such as|more than|write|as in|at least"):
        parse(text)


def test_bursts_have_two_spellings() -> None:
    assert parse_burst("5%x8") == BurstLoss.with_mean(0.05, 8)
    assert parse_burst("1%:30%") == BurstLoss(0.01, 0.3)
    assert parse_burst("1%:30%:80%:0.1%") == BurstLoss(0.01, 0.3, 0.8, 0.001)


def test_conditions_collect_the_options_of_a_command_line() -> None:
    conditions = parse_conditions(
        loss="5%", burst="1%x4", delay="40ms", jitter="5ms", rate="8Mbit", queue="200ms", mtu="1500"
    )
    assert conditions.loss == (IndependentLoss(0.05), BurstLoss.with_mean(0.01, 4))
    assert (conditions.delay, conditions.jitter) == (0.040, 0.005)
    assert (conditions.rate, conditions.queue, conditions.mtu) == (8e6, 200_000, 1500)
    assert parse_conditions(rate="8Mbit", queue="64kB").queue == 64_000


def test_a_queue_needs_a_rate() -> None:
    with pytest.raises(ValueError, match="needs a rate"):
        parse_conditions(queue="64kB")
