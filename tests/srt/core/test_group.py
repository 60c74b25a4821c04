"""The machines of a group, each by itself."""

from __future__ import annotations

from terzetto.srt.core.connection import Connection, State
from terzetto.srt.core.group.balanced_reception import BalancedReception, message_number
from terzetto.srt.core.group.clock import GroupClock
from terzetto.srt.core.group.links import Link, links_to_activate, links_to_silence
from terzetto.srt.core.group.replay import Replay
from terzetto.srt.core.playout_clock import DRIFT_SAMPLES, PlayoutClock
from terzetto.srt.core.receiver import Receiver
from terzetto.srt.events import MemberState
from tests.srt.core.pair import CALLER, Pair

SECOND = 1_000_000


# The clock


def drift_by(member: PlayoutClock, own: PlayoutClock, amount: int) -> None:
    """Let a member see the sender's clock *amount* behind where it was, for a whole window of samples."""
    for number in range(DRIFT_SAMPLES):
        stamp = number * 1000
        member.trace(stamp, now=own.base + stamp + amount, round_trip=None)


def test_the_first_member_sets_the_time_and_the_longest_delay_holds() -> None:
    group = GroupClock()
    first = group.join(PlayoutClock(base=5000, delay=120_000))
    second = group.join(PlayoutClock(base=35_000, delay=200_000))
    for member in (first, second):
        assert member.play_at(1_000_000, now=1_010_000) == 5000 + 1_000_000 + 200_000


def test_the_group_follows_its_oldest_member_and_no_other() -> None:
    group = GroupClock()
    owns = [PlayoutClock(base=0, delay=0), PlayoutClock(base=30_000, delay=0)]
    first, second = (group.join(own) for own in owns)
    drift_by(second, owns[1], 3000)
    assert group.drift == 0
    drift_by(first, owns[0], 2000)
    assert first.drift == second.drift == 2000


def test_the_time_does_not_jump_when_the_leader_leaves() -> None:
    group = GroupClock()
    owns = [PlayoutClock(base=0, delay=0), PlayoutClock(base=30_000, delay=0)]
    first, second = (group.join(own) for own in owns)
    drift_by(first, owns[0], 2000)
    drift_by(second, owns[1], 1000)
    group.leave(first)
    assert second.drift == 2000
    drift_by(second, owns[1], 1500)
    assert second.drift == 2500


# What is kept for the member that takes over


def test_what_is_acknowledged_or_too_old_is_not_kept() -> None:
    replay = Replay(100)
    for number in range(5):
        replay.add(100 + 2 * number, [b"a", b"b"], origin=number * SECOND)
    replay.forget(103, before=0)
    assert replay.start == 102
    replay.forget(0, before=3 * SECOND)
    assert replay.start == 106
    assert list(replay.since(107)) == [(3 * SECOND, [b"b"]), (4 * SECOND, [b"a", b"b"])]


def test_only_so_much_is_kept() -> None:
    replay = Replay(0)
    for number in range(20_000):
        replay.add(number, [b""], origin=number)
    assert replay.start == 20_000 - 8192


# The parts of a balancing group


def brought(*entries: tuple[int, int]) -> Receiver:
    """A member that has these positions of the stream, due at these times."""
    receiver = connection().receiver
    receiver.buffer.line.extend(
        (due, index, message_number(position), b"%d" % position)
        for index, (position, due) in enumerate(entries)
    )
    return receiver


def positions(reception: BalancedReception, receivers: list[Receiver], now: int) -> list[int]:
    return [entry[1] for entry in reception.take(receivers, now=now, limit=100)]


def test_parts_are_put_in_order_and_a_second_copy_is_dropped() -> None:
    reception = BalancedReception(7)
    members = [brought((7, 10), (9, 30), (8, 20)), brought((8, 20), (10, 40))]
    assert positions(reception, members, 30) == [7, 8, 9]
    assert reception.next_due() == 40
    assert positions(reception, members, 40) == [10]
    assert (reception.surplus, reception.skipped, reception.next_due()) == (1, 0, None)


def test_what_is_missing_is_waited_for_until_its_successor_is_due() -> None:
    reception = BalancedReception(0)
    members = [brought((1, 20), (2, 30)), brought()]
    assert positions(reception, members, 19) == []
    assert reception.next_due() == 20
    members[1] = brought((0, 10))
    assert positions(reception, members, 19) == [0]
    reception = BalancedReception(0)
    assert positions(reception, [brought((1, 20), (2, 30))], 30) == [1, 2]
    assert reception.skipped == 1


def test_places_go_on_where_message_numbers_wrap() -> None:
    first = (1 << 25) - 2
    reception = BalancedReception(first)
    members = [brought((first, 0), (first + 2, 0)), brought((first + 1, 0), (first + 3, 0))]
    assert positions(reception, members, 0) == [first, first + 1, first + 2, first + 3]
    assert all(0 < message_number(position) < 1 << 26 for position in range(first, first + 4))


def test_a_peer_that_is_far_ahead_fills_no_more_than_so_much() -> None:
    reception = BalancedReception(0)
    member = brought(*[(position, 1000) for position in range(1, 20_001)])
    assert positions(reception, [member], 0) == []
    assert len(member.buffer.line) == 20_000 - 16_384
    assert positions(BalancedReception(5), [brought((4, 0))], 0) == [], "its time was over"


# Which member sends


def connection() -> Connection:
    return Pair(seed=1).connect()[0]


def links(*states: tuple[MemberState, int]) -> list[Link]:
    made = []
    for age, (state, weight) in enumerate(states):
        link = Link(connection(), weight=weight, age=age, least_timeout=60_000)
        link.state = state
        made.append(link)
    return made


STANDBY, FRESH, STABLE, UNSTABLE, WARY = (
    MemberState.STANDBY,
    MemberState.FRESH,
    MemberState.STABLE,
    MemberState.UNSTABLE,
    MemberState.WARY,
)


def test_the_heaviest_of_those_that_stand_by_begins_and_the_oldest_among_equals() -> None:
    group = links((STANDBY, 1), (STANDBY, 5), (STANDBY, 5))
    assert links_to_activate(group) == [group[1]]


def test_another_is_wanted_only_while_none_is_trusted() -> None:
    assert links_to_activate(links((STABLE, 1), (STANDBY, 1))) == []
    assert links_to_activate(links((FRESH, 1), (STANDBY, 1))) == []
    for state in (UNSTABLE, WARY):
        group = links((state, 9), (STANDBY, 1))
        assert links_to_activate(group) == [group[1]]


def test_a_heavier_one_takes_over_from_a_stable_one() -> None:
    group = links((STABLE, 1), (STANDBY, 2))
    assert links_to_activate(group) == [group[1]]


def test_one_that_is_broken_is_not_chosen() -> None:
    group = links((STANDBY, 9), (STANDBY, 1))
    group[0].connection.state = State.BROKEN
    assert links_to_activate(group) == [group[1]]


def test_all_behind_the_first_stable_one_fall_silent() -> None:
    group = links((UNSTABLE, 9), (STABLE, 2), (STABLE, 1), (WARY, 2), (STANDBY, 0))
    assert set(links_to_silence(group)) == {group[2], group[3]}
    assert links_to_silence(links((FRESH, 9), (UNSTABLE, 1))) == []


def test_a_fresh_member_has_the_whole_latency_and_a_known_one_its_round_trip() -> None:
    (link,) = links((FRESH, 1))
    assert link.stability_timeout == link.connection.agreement.peer_delay == 120_000
    link.state = STABLE
    link.connection.round_trip.smoothed, link.connection.round_trip.variance = 1000, 100
    assert link.stability_timeout == 60_000
    link.connection.round_trip.smoothed = 40_000
    assert link.stability_timeout == 80_400
    link.connection.round_trip.smoothed = 400_000
    assert link.stability_timeout == 120_000


def test_silence_counts_from_what_waits_and_keep_alives_do_not_end_it() -> None:
    pair = Pair(seed=3)
    caller, _ = pair.connect()
    link = Link(caller, weight=1, age=0, least_timeout=60_000)
    pair.run(for_=10 * SECOND)
    assert link.silence(pair.now) == 0, "nothing waits"
    pair.links[CALLER].drop = lambda _packet, _number: True
    pair.send([b"lost"])
    pair.run(for_=3 * SECOND)
    assert link.silence(pair.now) == 3 * SECOND
