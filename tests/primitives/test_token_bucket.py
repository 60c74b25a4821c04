from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.primitives.token_bucket import TokenBucket


def test_a_full_bucket_lets_a_burst_pass_and_no_more() -> None:
    bucket = TokenBucket(1_000, 100, now=0)
    assert bucket.take(100, 0)
    assert not bucket.take(1, 0)


def test_it_refills_at_its_rate_up_to_its_burst() -> None:
    bucket = TokenBucket(1_000, 100, now=0)
    assert bucket.take(100, 0)
    assert bucket.available(10_000) == 10
    assert bucket.available(60_000_000) == 100


def test_it_says_when_enough_will_be_there() -> None:
    bucket = TokenBucket(3, 10, now=0)
    assert bucket.when(10, 0) == 0
    assert bucket.take(10, 0)
    moment = bucket.when(1, 0)
    assert moment == 333_334
    assert not bucket.take(1, moment - 1)
    assert bucket.take(1, moment)


def test_what_no_burst_covers_never_passes() -> None:
    assert TokenBucket(1_000, 10, now=0).when(11, 0) is None


def test_a_rate_of_nothing_never_refills() -> None:
    bucket = TokenBucket(0, 1, now=0)
    assert bucket.take(1, 0)
    assert bucket.when(1, 10**12) is None


def test_debts_are_paid_before_anything_passes() -> None:
    bucket = TokenBucket(1_000, 10, now=0)
    bucket.spend(30, 0)
    assert bucket.available(0) == 0
    assert not bucket.take(1, 20_000)
    assert bucket.take(1, 21_000)


def test_a_new_rate_counts_from_its_moment() -> None:
    bucket = TokenBucket(1_000, 100, now=0)
    bucket.spend(100, 0)
    bucket.set_rate(2_000, 10_000)
    assert bucket.available(20_000) == 30


def test_time_that_stands_still_gives_nothing() -> None:
    bucket = TokenBucket(1_000_000, 5, now=100)
    bucket.spend(5, 100)
    assert bucket.available(50) == 0


@pytest.mark.parametrize(("rate", "burst"), [(-1, 1), (1, 0)])
def test_an_impossible_bucket_is_refused(rate: int, burst: int) -> None:
    with pytest.raises(ValueError, match="token bucket"):
        TokenBucket(rate, burst, now=0)


@given(
    st.integers(1, 10_000),
    st.integers(1, 500),
    st.lists(st.tuples(st.integers(0, 50_000), st.integers(0, 50))),
)
def test_never_more_passes_than_burst_and_rate_allow(
    rate: int, burst: int, requests: list[tuple[int, int]]
) -> None:
    bucket = TokenBucket(rate, burst, now=0)
    now = passed = 0
    for pause, amount in requests:
        now += pause
        if bucket.take(amount, now):
            passed += amount
    assert passed * 1_000_000 <= burst * 1_000_000 + now * rate
