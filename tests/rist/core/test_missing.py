"""Asking for what is missing, not too early, not too often, not too long."""

from __future__ import annotations

from terzetto.rist.core.missing import PUMP_INTERVAL, MissingList


def due(missing: MissingList, now: int, *, allowance: int = 200, max_requests: int = 20) -> list[int]:
    return missing.due(
        now, interval=50_000, max_requests=max_requests, patience=1_000_000, allowance=allowance
    )


def fresh(count: int = 1, *, at: int = 0, wait: int = 20_000) -> MissingList:
    missing = MissingList()
    for sequence in range(count):
        missing.add(sequence, detected_at=at, next_request=at + wait)
    return missing


def test_the_first_request_waits_its_time() -> None:
    missing = fresh()
    assert missing.next_pump() == 20_000
    assert due(missing, 19_999) == []
    assert due(missing, 20_000 + PUMP_INTERVAL) == [0]


def test_requests_are_repeated_at_the_interval() -> None:
    missing = fresh()
    asked = [now for now in range(0, 300_000, 1000) if missing.next_pump() == now and due(missing, now)]
    assert asked == [20_000, 70_000, 120_000, 170_000, 220_000, 270_000]


def test_a_packet_that_came_is_asked_for_no_more() -> None:
    missing = fresh(2)
    record = missing.arrived(0)
    assert record is not None
    assert record.requests == 0
    assert due(missing, 20_000) == [1]
    assert missing.arrived(7) is None


def test_after_so_many_requests_a_packet_is_given_up() -> None:
    missing = fresh()
    now = 20_000
    for _ in range(3):
        assert due(missing, now, max_requests=3) == [0]
        now += 50_000
    assert due(missing, now, max_requests=3) == []
    assert len(missing) == 0
    assert missing.next_pump() is None


def test_after_so_long_a_packet_is_given_up() -> None:
    missing = fresh()
    assert due(missing, 1_000_000) == [0]
    assert due(missing, 1_000_001) == []
    assert len(missing) == 0


def test_what_the_allowance_does_not_cover_follows_a_pump_later() -> None:
    missing = fresh(500)
    assert due(missing, 20_000) == list(range(200))
    assert missing.next_pump() == 20_000 + PUMP_INTERVAL
    assert due(missing, 25_000) == list(range(200, 400))
    assert due(missing, 30_000) == list(range(400, 500))


def test_without_allowance_nothing_is_asked_and_nothing_spins() -> None:
    missing = fresh(3)
    assert due(missing, 20_000, allowance=0) == []
    assert missing.next_pump() == 20_000 + PUMP_INTERVAL
    record = missing.arrived(0)
    assert record is not None
    assert record.requests == 0, "what was not asked does not count as asked"


def test_the_high_water_mark_stays() -> None:
    missing = fresh(5)
    missing.forget(range(3))
    missing.clear()
    assert (len(missing), missing.high_water, missing.next_pump()) == (0, 5, None)
