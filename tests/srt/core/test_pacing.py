import pytest

from terzetto.srt.core.pacing import (
    UNLIMITED_BANDWIDTH,
    InputRate,
    LiveController,
    Pacer,
    RetransmitAllowance,
)
from terzetto.srt.core.send_buffer import SendBuffer
from terzetto.srt.options import SrtOptions

SECOND = 1_000_000


@pytest.mark.parametrize(
    ("options", "bandwidth"),
    [
        (SrtOptions(max_bandwidth=500_000, input_bandwidth=7), 500_000),
        (SrtOptions(max_bandwidth=-1, input_bandwidth=7), UNLIMITED_BANDWIDTH),
        (SrtOptions(max_bandwidth=0, input_bandwidth=100_000, overhead=50), 150_000),
        (SrtOptions(max_bandwidth=0, min_input_bandwidth=80_000), 100_000),
    ],
)
def test_the_limit_follows_from_the_options_as_in_libsrt(options: SrtOptions, bandwidth: int) -> None:
    controller = LiveController(options, payload_limit=1316)
    assert controller.bandwidth == bandwidth
    assert controller.period == pytest.approx(1360 * SECOND / bandwidth)


def test_a_measured_input_sets_the_limit_and_the_minimum_holds_it_up() -> None:
    controller = LiveController(SrtOptions(max_bandwidth=0, overhead=25), payload_limit=1316)
    for moment in range(0, SECOND, 10_000):
        controller.on_input(10, 13_160, now=moment)
    assert controller.bandwidth == pytest.approx(1_360_000 * 1.25, rel=0.03)
    controller.configure(SrtOptions(max_bandwidth=0, min_input_bandwidth=10_000_000))
    assert controller.bandwidth == 12_500_000


def test_the_first_input_sample_comes_early() -> None:
    rate = InputRate()
    assert not rate.sample(1, 1316, now=0)
    assert not rate.sample(1, 1316, now=499_999)
    assert rate.sample(1, 1316, now=500_000)
    assert not rate.sample(1, 1316, now=1_400_000)
    assert rate.sample(1, 1316, now=1_500_000)


def test_over_time_as_much_leaves_as_the_limit_allows_and_a_pause_saves_nothing_up() -> None:
    pacer = Pacer(LiveController(SrtOptions(max_bandwidth=1_360_000), payload_limit=1316))
    sent, now = 0, 10 * SECOND
    while now < 11 * SECOND:
        allowed = pacer.allowance(now=now)
        if allowed:
            pacer.sent(allowed, allowed * 1316, now=now)
            sent += allowed
        now = max(pacer.next_at, now + 1)
    assert 995 <= sent <= 1010
    assert pacer.allowance(now=now + 60 * SECOND) <= 3


def test_repeats_have_a_bucket_of_their_own() -> None:
    bucket = RetransmitAllowance(136_000)
    figures = {"round_trip": 20_000, "variance": 5_000}
    allowed = 0
    for moment in range(0, SECOND, 1000):
        while bucket.allows(1316, now=moment, **figures):
            bucket.spent(1316)
            allowed += 1
    assert 95 <= allowed <= 115
    assert RetransmitAllowance(-1).allows(1316, now=0, **figures)
    assert not RetransmitAllowance(0).allows(1316, now=0, **figures)


def test_a_send_buffer_knows_what_left_what_is_old_and_what_is_free() -> None:
    buffer = SendBuffer(first=100, capacity=10)
    buffer.extend([b"head" + b"\xc0" + bytes(11)] * 4, origin=1)
    buffer.extend([bytes(16)] * 3, origin=2)
    assert (buffer.end, buffer.room, buffer.oldest, buffer.newest) == (107, 3, 1, 2)
    assert len(buffer.next_originals(5)) == 5
    assert (buffer.in_flight, buffer.unsent) == (5, 105)
    assert buffer.repeat(101, flagged=True)[4] == 0xC4
    assert buffer.repeat(102, flagged=False)[4] == 0xC0
    assert buffer.handed_in_before(2) == 104
    assert buffer.handed_in_before(1) == 100
    assert buffer.release(104) == 4
    assert (buffer.base, buffer.oldest, buffer.in_flight) == (104, 2, 1)
    assert buffer.release(107) == 3
    assert (buffer.unsent, buffer.in_flight, buffer.oldest) == (107, 0, None)
