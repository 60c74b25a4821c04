"""A link machine turns one datagram into arrivals or a named drop."""

from __future__ import annotations

from random import Random

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.primitives.impairment import Arrival, BurstLoss, Drop, LinkConditions, LinkMachine, ScriptedLoss
from terzetto.primitives.impairment.machine import IPV6_HEADERS, Passage


def machine(conditions: LinkConditions, seed: int = 1) -> LinkMachine:
    return LinkMachine(conditions, Random(seed))


def arrivals(passage: Passage) -> list[Arrival]:
    assert not isinstance(passage, Drop)
    return passage


def test_a_perfect_link_delivers_at_once_the_very_bytes() -> None:
    datagram = b"x" * 100
    [arrival] = arrivals(machine(LinkConditions()).offer(datagram, now=7))
    assert arrival.at == 7
    assert arrival.datagram is datagram


def test_delay_is_added_exactly() -> None:
    assert arrivals(machine(LinkConditions(delay=0.0405)).offer(b"x", now=1000)) == [Arrival(41_500, b"x")]


def test_jitter_stays_in_its_range_and_keeps_the_order() -> None:
    link = machine(LinkConditions(delay=0.040, jitter=0.005))
    times = [arrivals(link.offer(b"x", now=now))[0].at for now in range(0, 1_000_000, 500)]
    assert times == sorted(times)
    delays = [at - now for at, now in zip(times, range(0, 1_000_000, 500), strict=True)]
    assert min(delays) >= 35_000
    assert max(delays) <= 45_000
    assert max(delays) - min(delays) > 5_000


def test_reordered_datagrams_are_overtaken() -> None:
    link = machine(LinkConditions(delay=0.010, reorder=0.1, reorder_by=0.004))
    times = [arrivals(link.offer(b"x", now=now))[0].at - now for now in range(0, 1_000_000, 1_000)]
    assert set(times) == {10_000, 14_000}
    assert 70 < times.count(14_000) < 130


def test_duplicates_arrive_twice() -> None:
    link = machine(LinkConditions(duplicate=0.2))
    copies = [len(arrivals(link.offer(b"x", now=0))) for _ in range(1000)]
    assert set(copies) == {1, 2}
    assert 160 < copies.count(2) < 240


def test_corruption_flips_one_bit_and_leaves_the_original_alone() -> None:
    link = machine(LinkConditions(corrupt=1.0))
    original = bytes(50)
    for _ in range(100):
        [arrival] = arrivals(link.offer(original, now=0))
        assert sum(byte.bit_count() for byte in bytes(arrival.datagram)) == 1
    assert original == bytes(50)
    assert arrivals(link.offer(b"", now=0)) == [Arrival(0, b"")]


def test_rate_spaces_datagrams_and_counts_headers() -> None:
    link = machine(LinkConditions(rate=1_000_000))
    times = [arrivals(link.offer(bytes(97), now=0))[0].at for _ in range(3)]
    assert times == [1000, 2000, 3000]  # 125 bytes with headers, 1000 bits


def test_a_full_queue_drops_the_newest() -> None:
    link = machine(LinkConditions(rate=1_000_000, queue=250))
    passages = [link.offer(bytes(97), now=0) for _ in range(4)]
    # The first is on the wire and in nobody's way but its own; the queue holds what 250 bytes hold.
    assert [passage is Drop.QUEUE_FULL for passage in passages] == [False, False, True, True]
    assert link.offer(bytes(97), now=2000) is not Drop.QUEUE_FULL


def test_what_exceeds_the_mtu_is_too_big() -> None:
    link = machine(LinkConditions(mtu=1500))
    assert link.offer(bytes(1473), now=0) is Drop.TOO_BIG
    assert link.offer(bytes(1472), now=0) is not Drop.TOO_BIG
    assert link.offer(bytes(1453), now=0, headers=IPV6_HEADERS) is Drop.TOO_BIG
    assert link.offer(bytes(1452), now=0, headers=IPV6_HEADERS) is not Drop.TOO_BIG


def test_nothing_passes_a_partition() -> None:
    assert machine(LinkConditions(up=False)).offer(b"x", now=0) is Drop.PARTITIONED


def test_any_of_several_models_may_lose() -> None:
    link = machine(LinkConditions(loss=[ScriptedLoss(1), ScriptedLoss(1)]))
    assert [link.offer(b"x", now=0) is Drop.LOST for _ in range(3)] == [True, True, False]


def test_a_change_of_delay_keeps_the_script_and_the_order() -> None:
    script = ScriptedLoss(3)
    before = LinkConditions(delay=0.100, loss=script)
    link = machine(before)
    assert arrivals(link.offer(b"1", now=0))[0].at == 100_000
    link.change(attrs.evolve(before, delay=0.010))
    assert arrivals(link.offer(b"2", now=0))[0].at == 100_000  # behind the first, not past it
    assert link.offer(b"3", now=0) is Drop.LOST


def test_a_change_of_loss_starts_afresh() -> None:
    link = machine(LinkConditions(loss=ScriptedLoss(2)))
    link.offer(b"1", now=0)
    link.change(LinkConditions(loss=ScriptedLoss(1)))
    assert link.offer(b"2", now=0) is Drop.LOST


@given(
    loss=st.floats(0, 1),
    delay=st.integers(0, 200),
    jitter=st.integers(0, 50),
    reorder=st.floats(0, 1),
    duplicate=st.floats(0, 1),
    rate=st.none() | st.integers(100_000, 10_000_000),
    queue=st.none() | st.integers(1, 100_000),
    sizes=st.lists(st.integers(0, 2000), max_size=50),
    seed=st.integers(0, 9),
)
def test_nothing_arrives_before_it_could_and_replays_agree(
    loss: float,
    delay: int,
    jitter: int,
    reorder: float,
    duplicate: float,
    rate: int | None,
    queue: int | None,
    sizes: list[int],
    seed: int,
) -> None:
    conditions = LinkConditions(
        loss=loss,
        delay=(delay + jitter) / 1000,
        jitter=jitter / 1000,
        reorder=reorder,
        duplicate=duplicate,
        rate=rate,
        queue=queue,
    )
    one, other = machine(conditions, seed), machine(conditions, seed)
    for now, size in enumerate(sizes):
        passage = one.offer(bytes(size), now=now * 100)
        assert other.offer(bytes(size), now=now * 100) == passage
        if not isinstance(passage, Drop):
            assert all(arrival.at >= now * 100 + delay * 1000 for arrival in passage)
            assert [arrival.at for arrival in passage] == sorted(arrival.at for arrival in passage)


@pytest.mark.parametrize(
    "options",
    [{"loss": 5}, {"delay": -1}, {"jitter": 0.1}, {"rate": 0}, {"mtu": -1}, {"queue": 0}, {"duplicate": 1.5}],
)
def test_impossible_conditions_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="but"):
        LinkConditions(**options)  # type: ignore[arg-type]


def test_burst_loss_survives_in_conditions() -> None:
    model = BurstLoss.with_mean(0.05, 4)
    assert LinkConditions(loss=model).loss == (model,)
    assert LinkConditions(loss=0).loss == ()
