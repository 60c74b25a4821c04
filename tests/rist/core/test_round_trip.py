"""Whom to believe about the round trip."""

from __future__ import annotations

import pytest

from terzetto.rist.core.round_trip import RoundTrip

MS = 1000


def fresh() -> RoundTrip:
    return RoundTrip(initial=5 * MS)


def test_before_any_answer_it_is_the_initial_guess() -> None:
    round_trip = fresh()
    assert (round_trip.smoothed, round_trip.last, round_trip.is_measured) == (5 * MS, 5 * MS, False)


def test_an_echo_measures_without_the_time_it_was_held() -> None:
    round_trip = fresh()
    round_trip.ask(77, 1000 * MS)
    assert round_trip.handle_echo(77, 3 * MS, 1043 * MS)
    assert (round_trip.smoothed, round_trip.last, round_trip.is_measured) == (40 * MS, 40 * MS, True)


def test_an_echo_that_was_never_asked_for_is_ignored() -> None:
    round_trip = fresh()
    assert not round_trip.handle_echo(77, 0, 1000 * MS)
    assert not round_trip.is_measured
    assert not round_trip.echo_spoken


def test_the_same_echo_does_not_count_twice() -> None:
    round_trip = fresh()
    round_trip.ask(77, 0)
    round_trip.handle_echo(77, 0, 10 * MS)
    assert not round_trip.handle_echo(77, 0, 5000 * MS)
    assert round_trip.last == 10 * MS


def test_an_echo_held_longer_than_it_took_is_ignored() -> None:
    round_trip = fresh()
    round_trip.ask(77, 0)
    assert not round_trip.handle_echo(77, 11 * MS, 10 * MS)
    assert not round_trip.is_measured


def test_samples_are_smoothed_by_an_eighth() -> None:
    round_trip = fresh()
    for token, took in ((1, 40 * MS), (2, 120 * MS)):
        round_trip.ask(token, token)
        round_trip.handle_echo(token, 0, token + took)
    assert round_trip.smoothed == 50 * MS
    assert round_trip.last == 120 * MS


def test_three_unanswered_requests_are_enough() -> None:
    round_trip = fresh()
    asked = 0
    while round_trip.may_ask():
        round_trip.ask(asked, 0)
        asked += 1
    assert asked == 3


def test_asking_goes_on_where_echo_is_spoken() -> None:
    round_trip = fresh()
    for token in range(3):
        round_trip.ask(token, 0)
    round_trip.handle_echo(2, 0, 10 * MS)
    assert round_trip.may_ask()


def test_requests_to_an_empty_house_do_not_count() -> None:
    round_trip = fresh()
    for token in range(3):
        round_trip.ask(token, 0)
    assert not round_trip.may_ask()
    round_trip.peer_appeared()
    assert round_trip.may_ask()


def test_reports_measure_where_no_echo_is_answered() -> None:
    round_trip = fresh()
    round_trip.reported(0xABCD_0000, 0)
    assert round_trip.handle_report_delay(0xABCD_0000, 65_536 // 2, 560 * MS)
    assert round_trip.last == 60 * MS


@pytest.mark.parametrize("answered", [False, True])
def test_reports_count_only_until_an_echo_is_answered(answered: bool) -> None:
    round_trip = fresh()
    if answered:
        round_trip.ask(1, 0)
        round_trip.handle_echo(1, 0, 20 * MS)
    round_trip.reported(5, 0)
    assert round_trip.handle_report_delay(5, 0, 90 * MS) is not answered


def test_a_report_time_that_was_never_sent_is_ignored() -> None:
    round_trip = fresh()
    round_trip.reported(5, 0)
    assert not round_trip.handle_report_delay(6, 0, 90 * MS)
    assert not round_trip.handle_report_delay(5, 0xFFFF_FFFF, 90 * MS), "held longer than it took"
    assert not round_trip.is_measured


def test_questions_without_answer_do_not_pile_up() -> None:
    round_trip = fresh()
    round_trip.echo_spoken = True
    for token in range(1000):
        round_trip.ask(token, token)
    assert not round_trip.handle_echo(900, 0, 2000)
    assert round_trip.handle_echo(999, 0, 2000)


def test_another_peer_starts_from_nothing() -> None:
    round_trip = fresh()
    round_trip.ask(1, 0)
    round_trip.ask(2, 0)
    round_trip.handle_echo(1, 0, 300 * MS)
    round_trip.start_over()
    assert (round_trip.smoothed, round_trip.echo_spoken, round_trip.echo_answered) == (5 * MS, False, False)
    assert not round_trip.handle_echo(2, 0, 400 * MS), "asked of somebody else"
