from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rist.core.gre_session import GreSession, Opening
from terzetto.rist.wire.vsf import TunnelContent

KEEPALIVE, NEGOTIATION = TunnelContent.KEEPALIVE, TunnelContent.BUFFER_NEGOTIATION
SECOND = 1_000_000


def caller(*, sends: bool = True, newest: int = 2) -> GreSession:
    return GreSession(is_caller=True, is_media_sender=sends, now=0, newest=newest)


def listener() -> GreSession:
    return GreSession(is_caller=False, is_media_sender=False, now=0)


def test_a_caller_opens_as_librist_does() -> None:
    opening = [Opening(KEEPALIVE, 2)] * 3 + [Opening(KEEPALIVE, 1)] * 3
    assert caller(sends=False).opening(now=0) == opening
    session = caller()
    assert session.opening(now=0) == opening + [Opening(NEGOTIATION, 2)] * 3
    assert session.opening(now=0) == []
    assert session.version(enciphered=False) == session.version(enciphered=True) == 1


def test_a_listener_says_nothing_before_it_was_spoken_to_and_then_answers_in_kind() -> None:
    session = listener()
    assert session.opening(now=0) == []
    assert session.next_timeout() is None
    assert session.due(now=5 * SECOND) == []
    assert session.farewell() == []
    assert session.note_heard(2)
    assert session.opening(now=0) == [Opening(KEEPALIVE, 2)] * 3
    assert session.version(enciphered=False) == 2


def test_revision_2_is_spoken_as_soon_as_it_is_heard_and_never_left() -> None:
    session = caller()
    assert not session.note_heard(1)
    assert session.heard == 1
    assert session.note_heard(2)
    assert not session.note_heard(0)
    assert session.version(enciphered=False) == 2


@pytest.mark.parametrize("is_caller", [False, True])
def test_0_2_7_is_answered_in_revision_0_and_enciphered_to_in_revision_1(is_caller: bool) -> None:
    session = GreSession(is_caller=is_caller, is_media_sender=True, now=0)
    session.note_heard(0)
    assert session.version(enciphered=False) == 0
    assert session.version(enciphered=True) == 1


def test_a_keepalive_goes_out_every_second_and_probes_for_revision_2() -> None:
    session = caller(sends=False)
    session.opening(now=0)
    assert session.due(now=SECOND - 1) == []
    sent = Counter(opening for now in range(SECOND, 11 * SECOND, SECOND) for opening in session.due(now=now))
    assert sent == {Opening(KEEPALIVE, 1): 10, Opening(KEEPALIVE, 2): 5}
    assert session.next_timeout() == 11 * SECOND
    session.note_heard(2)
    assert session.due(now=11 * SECOND) == [Opening(KEEPALIVE, 2)]


def test_an_opening_that_was_not_asked_for_comes_with_the_first_keepalive() -> None:
    session = caller(sends=False)
    assert session.next_timeout() == 0
    assert len(session.due(now=0)) == 6


def test_goodbye_is_said_three_times() -> None:
    session = caller()
    session.opening(now=0)
    session.note_heard(2)
    assert session.farewell() == [Opening(KEEPALIVE, 2)] * 3


@pytest.mark.parametrize("newest", [0, 1])
def test_a_pinned_revision_is_not_exceeded(newest: int) -> None:
    session = caller(newest=newest)
    assert {opening.version for opening in session.opening(now=0)} == {newest}
    session.note_heard(2)
    assert session.version(enciphered=False) == newest


@given(st.lists(st.integers(0, 5)))
def test_sequences_are_never_given_twice(counts: list[int]) -> None:
    session = caller()
    given_out = [
        first + n for count in counts for first in [session.take_sequences(count)] for n in range(count)
    ]
    assert given_out == list(range(sum(counts)))


@given(st.lists(st.integers(0, 4)))
def test_the_revision_only_rises(versions: list[int]) -> None:
    session = caller()
    spoken: list[int] = []
    for version in versions:
        session.note_heard(version)
        spoken.append(session.version(enciphered=True))
    assert spoken == sorted(spoken)
