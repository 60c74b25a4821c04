"""One flow at the receiver: where arriving packets meet the clock, the buffer and the list of what is missing."""

from __future__ import annotations

import random

import pytest

from terzetto.rist.core.flow import ReceiveFlow
from terzetto.rist.core.settings import Settings
from terzetto.rist.core.vocabulary import Media
from terzetto.rist.events import BufferResized, ClockResynchronised, RistPacket
from terzetto.rist.options import RistOptions, TimingMode

MS = 1000
BUFFER = 200 * MS
ROUND_TRIP = 20 * MS


class World:
    """A flow whose source sends a packet a millisecond, numbered from *first* on."""

    def __init__(
        self, *, first: int = 1000, clock: int = 90_000, epoch: int = 5_000_000, **options: object
    ) -> None:
        # Without a tick nothing is released ahead of its time.
        knobs = {"buffer_min": 0.2, "buffer_max": 0.2, "tick": 0.0, **options}
        self.settings = Settings.of(RistOptions(**knobs))  # type: ignore[arg-type]
        self.flow = ReceiveFlow(2, self.settings, clock_rate=clock, sequence_bits=16, now=0)
        self.first = first
        self.clock = clock
        self.epoch = epoch
        self.now = 0
        self.out: list[RistPacket] = []
        self.out_at: list[int] = []
        self.asked: list[tuple[int, int]] = []

    def packet(self, n: int, *, repeat: bool = False, time: int | None = None) -> Media:
        """The source's packet *n*, sent at millisecond *n* unless its clock says otherwise."""
        moment = self.epoch + (n * MS if time is None else time)
        timestamp = moment * self.clock // 1_000_000 & 0xFFFF_FFFF
        return ((self.first + n) & 0xFFFF, timestamp, b"%d" % n, repeat)

    def hear(self, *packets: Media, at: int) -> None:
        self.run(at)
        self.flow.insert(list(packets), path=0, arrival=at, round_trip=ROUND_TRIP)

    def hear_all(self, numbers: range, *, delay: int = 0) -> None:
        for n in numbers:
            self.hear(self.packet(n), at=n * MS + delay)

    def run(self, until: int) -> None:
        """Do what is due, each thing at its time."""
        for _ in range(100_000):
            due = self.flow.next_timeout()
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            self.asked += [
                (self.now, sequence)
                for sequence in self.flow.requests_due(self.now, ROUND_TRIP, allowance=200)
            ]
            self.collect(self.flow.release(self.now, ROUND_TRIP))
        else:
            raise AssertionError("the flow spins")
        self.now = max(self.now, until)

    def collect(self, packets: list[RistPacket]) -> None:
        self.out += packets
        self.out_at += [self.now] * len(packets)

    def finish(self) -> None:
        self.run(self.now + 10_000 * MS)

    @property
    def numbers(self) -> list[int]:
        return [int(packet.payload) for packet in self.out]

    @property
    def events(self) -> list[type]:
        return [type(event) for event in self.flow.poll_events()]


def test_packets_leave_one_buffer_after_they_came() -> None:
    world = World()
    world.hear_all(range(100))
    world.finish()
    assert world.numbers == list(range(100))
    assert world.out_at == pytest.approx([n * MS + BUFFER for n in range(100)], abs=20)


def test_jitter_of_the_path_is_smoothed_out() -> None:
    chance = random.Random(1)
    world = World()
    arrivals = sorted((n * MS + (chance.randrange(50) * MS if n else 0), n) for n in range(300))
    for at, n in arrivals:
        world.hear(world.packet(n), at=at)
    world.finish()
    assert world.numbers == list(range(300))
    assert world.out_at == pytest.approx([n * MS + BUFFER for n in range(300)], abs=20)
    assert world.flow.counters.reordered > 50
    assert world.flow.counters.unrecovered == 0


def test_a_gap_is_asked_for_after_half_a_round_trip_and_again_after_a_whole_one() -> None:
    world = World(reorder_buffer=0.0)
    world.hear_all(range(10))
    world.hear(world.packet(11), at=11 * MS)
    world.finish()
    moments = [at for at, sequence in world.asked if sequence == 1010]
    assert moments[0] == 11 * MS + ROUND_TRIP // 2
    assert moments[1] - moments[0] == ROUND_TRIP * 11 // 10
    assert {sequence for _, sequence in world.asked} == {1010}


def test_a_gap_is_given_the_reorder_time_to_fill_by_itself() -> None:
    world = World(reorder_buffer=0.05)
    world.hear_all(range(10))
    world.hear(world.packet(12), at=12 * MS)
    world.hear(world.packet(10), at=61 * MS)
    world.run(70 * MS)
    assert world.asked == [(62 * MS, 1011)]
    assert world.flow.counters.reordered == 1


def test_requests_stop_at_the_most_that_are_allowed() -> None:
    world = World(max_retries=4, min_retries=2, buffer_min=1.0, buffer_max=1.0)
    world.hear_all(range(5))
    world.hear(world.packet(6), at=6 * MS)
    world.run(900 * MS)
    assert len(world.asked) == 4


def test_a_repeat_fills_its_hole_and_is_classed_by_the_requests_it_took() -> None:
    world = World()
    world.hear_all(range(10))
    world.hear_all(range(12, 20))
    world.run(60 * MS)
    requests = len([1 for _, sequence in world.asked if sequence == 1010])
    world.hear(world.packet(10, repeat=True), at=60 * MS)
    world.hear(world.packet(11, repeat=True), at=61 * MS)
    world.finish()
    counters = world.flow.counters
    assert world.numbers == list(range(20))
    assert counters.recovered == 2
    assert sum(counters.recovered_after) == 2
    assert counters.recovered_after[requests - 1] >= 1
    assert counters.lost == counters.recovered + counters.unrecovered == 2


def test_what_never_comes_is_skipped_on_time_and_marked() -> None:
    world = World()
    world.hear_all(range(10))
    world.hear_all(range(13, 20))
    world.finish()
    after = world.out[10]
    assert (int(after.payload), after.lost_before) == (13, 3)
    assert world.out_at[10] == pytest.approx(13 * MS + BUFFER, abs=20)
    assert world.flow.counters.unrecovered == 3


def test_a_flow_does_not_begin_with_a_repeat() -> None:
    world = World()
    world.hear(world.packet(0, repeat=True), at=0)
    assert world.flow.next_timeout() is None
    world.hear(world.packet(5), at=5 * MS)
    world.finish()
    assert world.numbers == [5]


def test_a_flow_that_begins_near_zero_asks_for_its_first_packets() -> None:
    world = World(first=0)
    world.hear(world.packet(3), at=3 * MS)
    world.run(100 * MS)
    assert {sequence for _, sequence in world.asked} == {0, 1, 2}


def test_who_cannot_ask_does_not_claim_that_anything_came_before() -> None:
    world = World(first=30, one_way=True)
    world.hear_all(range(10))
    world.run(1000 * MS)
    assert len(world.out) == 10
    assert world.flow.counters.unrecovered == 0


def test_a_merging_flow_that_counts_anew_keeps_even_numbers_even() -> None:
    world = World(first=1000, merge="pairs")
    world.hear_all(range(10))
    for n in range(40):
        world.hear((50_001 + n, world.packet(3000 + n)[1], b"%d" % n, False), at=3000 * MS + n * MS)
    world.run(4000 * MS)
    assert world.flow.counters.resets == 1
    newer = [packet for packet in world.out if packet.sequence >= 1010]
    assert len(newer) >= 20
    assert all((int(packet.payload) + 50_001 - packet.sequence) % 2 == 0 for packet in newer)


def test_repeats_that_somebody_else_asked_for_do_not_move_the_beginning_back() -> None:
    world = World()
    world.hear(world.packet(50), at=50 * MS)
    world.hear(world.packet(20, repeat=True), at=51 * MS)
    world.finish()
    assert world.numbers == [50]
    assert world.flow.counters.unrecovered == 0


def test_what_lies_between_the_first_packet_and_one_that_it_overtook_is_asked_for() -> None:
    world = World()
    world.hear(world.packet(9), at=9 * MS)
    world.hear(world.packet(5), at=10 * MS)
    world.run(100 * MS)
    assert {sequence - 1000 for _, sequence in world.asked} == {6, 7, 8}
    for n in (6, 7, 8):
        world.hear(world.packet(n, repeat=True), at=101 * MS)
    world.finish()
    assert world.numbers == [5, 6, 7, 8, 9]


def test_numbers_wrap_with_losses_around_the_wrap() -> None:
    world = World(first=65_530)
    world.hear_all(range(4))
    world.hear_all(range(8, 12))
    world.run(60 * MS)
    assert {sequence for _, sequence in world.asked} == {65_534, 65_535, 0, 1}
    for n in range(4, 8):
        world.hear(world.packet(n, repeat=True), at=60 * MS)
    world.finish()
    assert world.numbers == list(range(12))
    assert [packet.sequence for packet in world.out] == list(range(65_530, 65_542))
    assert world.flow.highest_sequence == 65_541


def test_timestamps_wrap() -> None:
    wrap = (1 << 32) * 1_000_000 // 90_000
    world = World(epoch=wrap - 50 * MS)
    world.hear_all(range(40))
    world.hear_all(range(60, 100))
    for n in range(40, 60):
        world.hear(world.packet(n, repeat=True), at=120 * MS)
    world.finish()
    assert world.numbers == list(range(100))
    assert world.flow.counters.clock_resyncs == 0


@pytest.mark.parametrize("mode", list(TimingMode))
def test_duplicates_are_delivered_once_in_every_timing(mode: TimingMode) -> None:
    world = World(timing_mode=mode)
    world.hear_all(range(50))
    for _ in range(30):
        for n in range(40, 50):
            world.hear(world.packet(n), at=60 * MS)
    world.hear_all(range(70, 100))
    world.finish()
    assert world.numbers == [*range(50), *range(70, 100)]
    assert world.flow.counters.duplicates == 300
    assert world.flow.counters.resets == 0


@pytest.mark.parametrize("mode", list(TimingMode))
def test_a_block_that_was_overtaken_keeps_its_place_in_every_timing(mode: TimingMode) -> None:
    world = World(timing_mode=mode)
    world.hear_all(range(50))
    world.hear_all(range(70, 80))
    for n in range(50, 70):
        world.hear(world.packet(n), at=85 * MS)
    world.finish()
    assert world.numbers == list(range(80))
    assert world.flow.counters.resets == 0


def test_in_arrival_timing_the_timestamps_do_not_matter() -> None:
    world = World(timing_mode=TimingMode.ARRIVAL)
    chance = random.Random(1)
    for n in range(100):
        world.hear(world.packet(n, time=chance.randrange(10**9)), at=n * MS)
    world.finish()
    assert world.numbers == list(range(100))
    assert world.out_at == pytest.approx([n * MS + BUFFER for n in range(100)], abs=20)


def test_in_arrival_timing_a_repeat_is_due_where_it_was_missing() -> None:
    world = World(timing_mode=TimingMode.ARRIVAL)
    world.hear_all(range(50))
    world.hear_all(range(51, 100))
    world.hear(world.packet(50, repeat=True), at=150 * MS)
    world.finish()
    assert world.numbers == list(range(100))
    assert world.out_at == pytest.approx([n * MS + BUFFER for n in range(100)], abs=1000)


def test_in_wall_clock_timing_the_reports_tell_when_packets_are_due() -> None:
    world = World(timing_mode=TimingMode.RTC)
    world.flow.anchor_to_wall_clock(30 * MS - world.epoch)
    world.hear_all(range(50), delay=70 * MS)
    world.finish()
    assert world.out_at == pytest.approx([n * MS + 30 * MS + BUFFER for n in range(50)], abs=20)


def test_reports_of_a_clock_that_is_far_off_are_not_believed_for_ever() -> None:
    world = World(timing_mode=TimingMode.RTC)
    for n in range(1000):
        if n % 100 == 0:
            world.flow.anchor_to_wall_clock(-world.epoch - 3_600_000 * MS)
        world.hear(world.packet(n), at=n * MS)
    world.finish()
    assert world.numbers[-800:] == list(range(200, 1000))
    assert world.events.count(ClockResynchronised) == 1


@pytest.mark.parametrize("jump", [-3_600_000 * MS, 3_600_000 * MS, 2_000 * MS])
def test_a_source_whose_clock_is_set_is_followed(jump: int) -> None:
    world = World()
    world.hear_all(range(100))
    for n in range(100, 600):
        world.hear(world.packet(n, time=n * MS + jump), at=n * MS)
    world.finish()
    assert world.numbers[-390:] == list(range(210, 600))
    assert world.out_at[-1] == pytest.approx(599 * MS + BUFFER, abs=BUFFER)
    assert world.flow.counters.clock_resyncs == 1


def test_one_wild_timestamp_does_not_disturb_the_clock() -> None:
    for wild in (-(10**10), 10**10):
        world = World()
        world.hear_all(range(100))
        world.hear(world.packet(100, time=wild), at=100 * MS)
        world.hear_all(range(101, 200))
        world.finish()
        assert [n for n in world.numbers if n != 100] == [*range(100), *range(101, 200)]
        assert world.out_at[-1] == pytest.approx(199 * MS + BUFFER, abs=20)
        assert world.flow.counters.clock_resyncs == 0


@pytest.mark.parametrize("repeat", [False, True])
def test_a_packet_from_behind_with_a_time_ahead_does_not_hold_up_the_others(repeat: bool) -> None:
    world = World()
    world.hear_all(range(50))
    world.hear_all(range(51, 60))
    world.hear(world.packet(50, repeat=repeat, time=10**10), at=65 * MS)
    world.hear_all(range(66, 100))
    world.finish()
    assert world.out_at[-1] == pytest.approx(99 * MS + BUFFER, abs=20)
    assert world.numbers == [*range(60), *range(66, 100)]


@pytest.mark.parametrize(
    "first",
    [0, 999, 1000, 1099, 1100, 20_000, 33_000, 50_000, 65_535],
)
@pytest.mark.parametrize("clock_starts", [-(10**10), -500 * MS, 0, 10**10])
def test_a_source_that_counts_anew_is_followed_wherever_it_begins(first: int, clock_starts: int) -> None:
    world = World()
    world.hear_all(range(100))
    world.first = first
    for n in range(4000):
        world.hear(world.packet(n, time=n * MS + clock_starts), at=(100 + n) * MS)
    world.finish()
    assert world.numbers[-2500:] == list(range(1500, 4000))
    assert world.out_at[-1] <= 4100 * MS + 2 * BUFFER + 1000 * MS
    sequences = [packet.sequence for packet in world.out]
    assert sequences == sorted(set(sequences))


def test_after_a_restart_losses_are_asked_for_in_the_new_counting() -> None:
    world = World()
    world.hear_all(range(100))
    world.first = 500
    for n in [*range(100, 150), *range(152, 200)]:
        world.hear(world.packet(n), at=n * MS)
    world.run(260 * MS)
    assert {sequence for _, sequence in world.asked} == {500 + 150, 500 + 151}
    for n in (150, 151):
        world.hear(world.packet(n, repeat=True), at=261 * MS)
    world.finish()
    assert world.numbers[-90:] == list(range(110, 200))


def test_of_a_long_outage_only_what_can_still_come_in_time_is_asked_for() -> None:
    world = World()
    world.hear_all(range(100))
    world.hear_all(range(2100, 2200))
    world.run(2150 * MS)
    asked = {sequence - 1000 for _, sequence in world.asked}
    assert max(asked) == 2099
    assert min(asked) >= 2100 - 2200 // 10 * 11 // 10
    world.finish()
    assert world.flow.counters.unrecovered == 2000
    assert world.out[100].lost_before == 2000


def test_no_more_is_missed_at_once_than_the_bandwidth_could_carry() -> None:
    world = World(bandwidth=10_000)
    assert world.settings.missing_limit == 71
    world.hear_all(range(10))
    world.hear_all(range(170, 180))
    assert world.flow.missing_now <= 71
    assert world.flow.counters.missing == 160


def test_one_way_nothing_is_asked_for() -> None:
    world = World(one_way=True)
    world.hear_all(range(10))
    world.hear_all(range(20, 30))
    world.finish()
    assert world.asked == []
    assert world.numbers == [*range(10), *range(20, 30)]


def test_at_most_two_hundred_are_asked_for_at_once() -> None:
    world = World(buffer_min=2.0, buffer_max=2.0)
    world.hear_all(range(10))
    world.hear_all(range(1010, 1020))
    world.run(1045 * MS)
    at_once: dict[int, int] = {}
    for at, _ in world.asked:
        at_once[at] = at_once.get(at, 0) + 1
    assert max(at_once.values()) == 200
    assert len({sequence for _, sequence in world.asked}) == 1000


def test_everything_leaves_at_once_when_nothing_more_will_come() -> None:
    world = World()
    world.hear_all(range(10))
    world.hear_all(range(12, 20))
    world.collect(world.flow.release(20 * MS, ROUND_TRIP, everything=True))
    assert world.numbers == [*range(10), *range(12, 20)]
    assert world.flow.waiting == 0


def test_an_adapting_buffer_grows_when_it_loses_and_delivery_stays_in_order() -> None:
    world = World(buffer_min=0.05, buffer_max=1.0)
    chance = random.Random(3)
    for n in range(6000):
        if chance.random() > 0.02:
            world.hear(world.packet(n), at=n * MS)
    assert world.flow.buffer == pytest.approx(1000 * MS, rel=0.02)
    world.finish()
    assert world.numbers == sorted(set(world.numbers))
    assert BufferResized in world.events
    assert world.out_at[-1] >= 5999 * MS + 900 * MS


def test_reports_say_what_was_lost_since_the_last() -> None:
    world = World()
    world.hear_all(range(100))
    assert world.flow.reception().fraction_lost == 0
    world.hear_all(range(150, 200))
    report = world.flow.reception()
    assert report.fraction_lost == 128
    assert report.highest_sequence == 1199
    assert report.source == 2
    world.hear_all(range(200, 300))
    assert world.flow.reception().fraction_lost == 0


def test_even_arrivals_have_no_jitter_and_uneven_ones_have() -> None:
    even, uneven = World(), World()
    for n in range(200):
        even.hear(even.packet(n), at=n * MS + 70 * MS)
        uneven.hear(uneven.packet(n), at=n * MS + 70 * MS + n % 2 * 500)
    assert even.flow.reception().jitter <= 1
    assert uneven.flow.reception().jitter == pytest.approx(45, abs=5)


def test_spacing_is_measured_from_the_second_arrival_on() -> None:
    world = World()
    world.hear_all(range(100))
    counters = world.flow.counters
    assert (counters.spacing_min, counters.spacing, counters.spacing_max) == (1 * MS, 1 * MS, 1 * MS)


def test_the_bit_rate_is_that_of_the_last_second_and_ends_with_the_stream() -> None:
    world = World()
    for n in range(2500):
        sequence, timestamp, _, repeat = world.packet(n)
        world.hear((sequence, timestamp, bytes(125), repeat), at=n * MS)
    assert world.flow.counters.bitrate(2500 * MS) == pytest.approx(1_000_000, rel=0.01)
    assert world.flow.counters.bitrate(6000 * MS) == 0


@pytest.mark.parametrize("high", [0, 7, 0xFFFF])
def test_a_source_that_begins_to_count_in_32_bits_loses_nothing(high: int) -> None:
    world = World(first=0xFFF0)
    world.hear_all(range(10))
    world.flow.change_sequence_bits(32, high << 16 | world.packet(11)[0])
    for n in (11, 12, 13, 40):  # 10 is lost on the way, and 16 bits go round between 13 and 40
        wide = ((high << 16 | 0xFFF0) + n) & 0xFFFF_FFFF
        assert wide & 0xFFFF == world.packet(n)[0]
        world.hear((wide, *world.packet(n)[1:]), at=n * MS)
    world.run(60 * MS)
    asked = {sequence for _, sequence in world.asked}
    assert asked == {((high << 16 | 0xFFF0) + n) & 0xFFFF_FFFF for n in (10, *range(14, 40))}
    world.run(500 * MS)
    assert [int(packet.payload) for packet in world.out] == [*range(10), 11, 12, 13, 40]


def test_a_source_that_goes_back_to_16_bits_loses_nothing() -> None:
    world = World(first=0x1_0000 - 5)
    world.flow.change_sequence_bits(32, 0)
    for n in range(10):
        world.hear((0x1_0000 - 5 + n, *world.packet(n)[1:]), at=n * MS)
    world.flow.change_sequence_bits(16, world.packet(10)[0])
    world.hear_all(range(10, 20))
    world.run(500 * MS)
    assert [int(packet.payload) for packet in world.out] == list(range(20))


def test_with_32_bits_more_packets_may_wait_than_16_can_name() -> None:
    world = World(buffer_min=10.0, buffer_max=10.0)
    world.flow.change_sequence_bits(32, 0)
    batch = [(n, world.packet(0)[1], b"", False) for n in range(70_000)]
    world.hear(*batch, at=0)
    assert world.flow.waiting == 70_000
