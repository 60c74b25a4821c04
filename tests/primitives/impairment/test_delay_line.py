"""What travels on a link comes out when it is due, and nothing goes uncounted."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from terzetto.primitives.impairment import DelayLine, Fates, LinkConditions, LinkMachine


def line(*, seed: int = 1, capacity: int = 1 << 20, **conditions: float) -> DelayLine:
    machine = LinkMachine(LinkConditions(**conditions), Random(seed))  # type: ignore[arg-type]
    return DelayLine(machine, capacity=capacity)


def numbered(count: int, first: int = 0) -> list[bytes]:
    return [number.to_bytes(4, "big") for number in range(first, first + count)]


def adds_up(fates: Fates) -> bool:
    return fates.received + fates.duplicated == fates.passed + fates.dropped + fates.waiting


def test_nothing_comes_out_before_its_delay_is_over() -> None:
    link = line(delay=0.040)
    link.offer(numbered(2), now=1_000)
    link.offer(numbered(1, first=2), now=2_000)
    assert link.next_due() == 41_000
    assert link.take_due(40_999) == []
    assert link.take_due(41_500) == numbered(2)
    assert link.take_due(42_000) == numbered(1, first=2)
    assert link.is_empty
    assert link.next_due() is None


def test_a_link_of_no_delay_gives_everything_at_once() -> None:
    link = line()
    link.offer(numbered(5), now=7)
    assert link.take_due(7) == numbered(5)


def test_who_was_overtaken_is_counted_as_reordered() -> None:
    link = line(reorder=0.2, reorder_by=0.010)
    for step in range(100):
        link.offer(numbered(1, first=step), now=step * 1_000)
    came = list(map(bytes, link.take_due(10**9)))
    assert sorted(came) == numbered(100)
    overtaken = sum(datagram < max(came[:index]) for index, datagram in enumerate(came) if index)
    assert link.fates().reordered == overtaken > 0


def test_jitter_alone_reorders_nothing() -> None:
    link = line(delay=0.040, jitter=0.040)
    for step in range(100):
        link.offer(numbered(1, first=step), now=step * 1_000)
    assert link.take_due(10**9) == numbered(100)
    assert link.fates().reordered == 0


def test_every_corrupted_and_every_duplicated_datagram_is_counted() -> None:
    link = line(corrupt=0.3, duplicate=0.3)
    sent = [bytes(64)] * 200
    link.offer(sent, now=0)
    came = link.take_due(0)
    fates = link.fates()
    assert fates.duplicated == len(came) - 200 > 20
    assert fates.corrupted > 20
    assert sum(datagram != bytes(64) for datagram in came) >= fates.corrupted


def test_what_the_socket_had_no_room_for_comes_first_again() -> None:
    link = line()
    link.offer(numbered(4), now=0)
    assert len(link.take_due(0)) == 4
    link.put_back(numbered(2, first=2))
    assert link.fates().passed == 2
    assert link.fates().waiting == 2
    assert link.next_due() == 0
    link.offer(numbered(1, first=4), now=1)
    assert link.take_due(1) == numbered(3, first=2)
    assert link.fates().passed == 5
    assert link.fates().bytes_passed == link.fates().bytes_received == 20


def test_a_link_without_limits_still_takes_no_more_than_its_capacity() -> None:
    link = line(delay=10.0, capacity=1000)
    link.offer([bytes(100)] * 15, now=0)
    assert link.fates().waiting == 10
    assert link.fates().no_room == 5
    link.take_due(10_000_000)
    link.offer([bytes(100)], now=10_000_001)
    assert link.fates().waiting == 1


def test_changed_conditions_hold_for_what_comes_next() -> None:
    link = line(delay=0.010)
    link.offer(numbered(1), now=0)
    link.change(LinkConditions(loss=1.0))
    link.offer(numbered(1, first=1), now=1)
    assert link.take_due(10_000) == numbered(1)
    assert link.fates().lost == 1


@given(
    loss=st.floats(0, 1),
    duplicate=st.floats(0, 1),
    reorder=st.floats(0, 1),
    rate=st.one_of(st.none(), st.floats(1e4, 1e7)),
    seed=st.integers(0, 1000),
    steps=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 10)), max_size=40),
)
def test_every_datagram_has_one_fate(
    loss: float,
    duplicate: float,
    reorder: float,
    rate: float | None,
    seed: int,
    steps: list[tuple[int, int]],
) -> None:
    conditions = LinkConditions(
        loss=loss, delay=0.01, jitter=0.005, duplicate=duplicate, reorder=reorder, rate=rate, queue=3000
    )
    link = DelayLine(LinkMachine(conditions, Random(seed)), capacity=50_000)
    now = taken = 0
    for pause, count in steps:
        now += pause
        link.offer([bytes(1000)] * count, now=now)
        taken += len(link.take_due(now))
        assert adds_up(link.fates())
        assert link.fates().passed == taken
    taken += len(link.take_due(now + 10**9))
    fates = link.fates()
    assert (fates.waiting, fates.passed) == (0, taken)
    assert adds_up(fates)


def test_fates_of_several_links_add_up() -> None:
    both = Fates(received=3, passed=2, lost=1) + Fates(received=4, passed=3, queue_full=1)
    assert both == Fates(received=7, passed=5, lost=1, queue_full=1)
    assert both.dropped == 2
