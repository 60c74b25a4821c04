"""Telling a source that counts anew from a network that repeats itself."""

from __future__ import annotations

from terzetto.rist.core.restart_watch import RestartWatch


def test_one_packet_ahead_of_its_time_is_an_accident_and_five_are_proof() -> None:
    watch = RestartWatch(bits=16)
    assert [watch.note_ahead_in_time() for _ in range(5)] == [False] * 4 + [True]


def test_an_advance_in_between_clears_the_suspicion() -> None:
    watch = RestartWatch(bits=16)
    for _ in range(4):
        watch.note_ahead_in_time()
    watch.clear()
    assert not watch.is_suspicious
    assert not watch.note_ahead_in_time()


def test_a_long_run_of_refused_packets_is_proof() -> None:
    watch = RestartWatch(bits=16)
    verdicts = [watch.note_refused((65_500 + 2 * n) & 0xFFFF) for n in range(100)]
    assert verdicts == [False] * 99 + [True]


def test_copies_of_one_packet_prove_nothing() -> None:
    watch = RestartWatch(bits=16)
    assert not any(watch.note_refused(7) for _ in range(10_000))


def test_packets_from_all_over_prove_nothing() -> None:
    watch = RestartWatch(bits=16)
    assert not any(watch.note_refused(n * 5000 & 0xFFFF) for n in range(1000))
