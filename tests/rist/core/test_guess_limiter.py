from __future__ import annotations

from terzetto.primitives.time import MICROS_PER_SECOND
from terzetto.rist.core.guess_limiter import GuessLimiter

SECOND = MICROS_PER_SECOND


def test_five_failures_close_the_door_and_ten_seconds_open_it_for_one_more() -> None:
    limiter = GuessLimiter(now=0)
    for _ in range(5):
        assert limiter.may_try("192.0.2.1", now=0)
        limiter.failed("192.0.2.1", now=0)
    assert not limiter.may_try("192.0.2.1", now=9 * SECOND)
    assert limiter.may_try("192.0.2.2", now=9 * SECOND)
    assert limiter.may_try("192.0.2.1", now=10 * SECOND)
    limiter.failed("192.0.2.1", now=10 * SECOND)
    assert not limiter.may_try("192.0.2.1", now=19 * SECOND)
    assert limiter.may_try("192.0.2.1", now=3600 * SECOND)


def test_failures_of_who_got_in_are_forgiven() -> None:
    limiter = GuessLimiter(now=0)
    for _ in range(5):
        limiter.failed("192.0.2.1", now=0)
    limiter.forgive("192.0.2.1", 1)
    limiter.forgive("192.0.2.9", 1)
    assert limiter.may_try("192.0.2.1", now=0)
    limiter.failed("192.0.2.1", now=0)
    assert not limiter.may_try("192.0.2.1", now=0)


def test_what_is_remembered_of_strangers_is_bounded() -> None:
    limiter = GuessLimiter(now=0)
    for number in range(5000):
        limiter.failed(f"host {number}", now=0)
    assert len(limiter._hosts) == 1024


def test_logins_are_computed_at_a_rate_over_all_hosts() -> None:
    limiter = GuessLimiter(now=0)
    assert sum(limiter.may_compute(now=0) for _ in range(100)) == 40
    assert sum(limiter.may_compute(now=SECOND) for _ in range(100)) == 20
