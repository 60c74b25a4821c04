"""Sending the last packet again, so that its loss is noticed."""

from __future__ import annotations

import itertools

from terzetto.rist.core.tail_probe import TailProbe


def probes(probe: TailProbe, until: int) -> list[int]:
    moments = []
    while (due := probe.next_timeout()) is not None and due <= until:
        assert probe.is_due(due)
        moments.append(due)
    return moments


def test_probes_come_at_an_even_pace_and_all_leave_time_for_asking() -> None:
    probe = TailProbe(buffer=1_000_000)
    probe.sent(0)
    moments = probes(probe, 10**9)
    assert moments[0] == 100_000
    pauses = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert set(pauses) == {1_000_000 // 12}
    assert 3 <= len(moments) <= 8
    assert moments[-1] <= 667_000


def test_a_short_buffer_is_probed_sooner() -> None:
    probe = TailProbe(buffer=40_000)
    probe.sent(100)
    assert probes(probe, 10**9)[0] == 100 + 20_000


def test_while_packets_follow_one_another_there_are_no_probes() -> None:
    probe = TailProbe(buffer=1_000_000)
    for now in range(0, 1_000_000, 5_000):
        probe.sent(now)
        assert not probe.is_due(now + 4_999)


def test_stopped_means_stopped_until_the_next_packet() -> None:
    probe = TailProbe(buffer=1_000_000)
    probe.sent(0)
    probe.stop()
    assert probe.next_timeout() is None
    assert not probe.is_due(10**9)
    probe.sent(50)
    assert probe.next_timeout() == 100_050


def test_a_call_before_its_time_does_nothing() -> None:
    probe = TailProbe(buffer=1_000_000)
    probe.sent(0)
    assert not probe.is_due(99_999)
    assert probe.next_timeout() == 100_000
