"""Two sides that call each other: who wins, every order of events, lost steps, and why it may fail."""

from __future__ import annotations

from functools import partial

import pytest

from terzetto.srt.core.negotiation import RefusedError
from terzetto.srt.core.rendezvous import Role, contest
from terzetto.srt.options import SrtOptions
from terzetto.srt.wire.handshake import AGREEMENT, CONCLUSION, WAVEAHAND, Handshake
from terzetto.srt.wire.key_material import KmState
from terzetto.srt.wire.rejection import RejectionReason
from tests.srt.core.pair import CALLER, LISTENER, MILLI, SECOND, Link, Pair

SECRET = "correct horse battery"


@pytest.mark.parametrize(
    ("mine", "theirs", "role"),
    [
        (0xAA2FA318, 0xF8C20DDA, Role.RESPONDER),  # as captured
        (2, 1, Role.INITIATOR),
        (1, 2, Role.RESPONDER),
        (0x00000001, 0xFFFFFFFF, Role.INITIATOR),  # round the circle
        (0x80000000, 0x7FFFFFFF, Role.INITIATOR),  # neither signed nor unsigned
        (0x7FFFFFFF, 0x80000000, Role.RESPONDER),
        (0x80000001, 0x00000001, Role.RESPONDER),  # half way round: the larger with a sign
        (0x00000001, 0x80000001, Role.INITIATOR),
        (7, 7, None),
    ],
)
def test_cookies_are_compared_round_the_circle(mine: int, theirs: int, role: Role | None) -> None:
    assert contest(mine, theirs) is role
    other = {Role.INITIATOR: Role.RESPONDER, Role.RESPONDER: Role.INITIATOR, None: None}[role]
    assert contest(theirs, mine) is other


def meet(pair: Pair, *, late: int = 0, for_: int = 40 * SECOND) -> None:
    pair.meet(late=late)
    pair.run(for_=for_, until=lambda: len(pair.connections) == 2 or pair.refused is not None)


def kinds(pair: Pair) -> list[int]:
    return [
        Handshake.decode(packet[16:]).kind
        for _, _, packet in pair.wire
        if packet[:4] == bytes.fromhex("80000000")
    ]


def check_both_ways(pair: Pair) -> None:
    """Whatever each side sends arrives at the other, under its own numbers."""
    for number in range(200):
        for side in (CALLER, LISTENER):
            pair.at(pair.now + number * MILLI, partial(pair.send, [b"%05d" % number], side))
    pair.run(for_=4 * SECOND)
    expected = [b"%05d" % number for number in range(200)]
    for side in (CALLER, LISTENER):
        assert [payload for _, payload in pair.delivered[side]] == expected


@pytest.mark.parametrize("late", [0, 5 * MILLI, 100 * MILLI, 2 * SECOND])
@pytest.mark.parametrize("seed", range(6))
def test_they_meet_whoever_comes_first_and_each_numbers_its_own(seed: int, late: int) -> None:
    pair = Pair(seed=seed)
    meet(pair, late=late)
    assert pair.refused is None
    one, other = pair.connections[CALLER].agreement, pair.connections[LISTENER].agreement
    assert one.initial_sequence == other.first_received
    assert other.initial_sequence == one.first_received
    assert one.initial_sequence != one.first_received
    assert 1 <= kinds(pair).count(AGREEMENT) <= 2
    check_both_ways(pair)


@pytest.mark.parametrize("mode", ["auto", "ctr", "gcm"])
@pytest.mark.parametrize("seed", range(3))
def test_they_meet_in_secret_with_every_extension(seed: int, mode: str) -> None:
    options = SrtOptions(
        passphrase=SECRET,
        key_length=32,
        crypto_mode=mode,
        packet_filter="fec,cols:10,rows:5",
        stream_id="live/cam",
        latency=0.3,
    )
    pair = Pair(seed=seed, caller=options, listener=options)
    meet(pair, late=seed * 70 * MILLI)
    for connection in pair.connections.values():
        assert connection.security().sending is KmState.SECURED
        assert connection.security().receiving is KmState.SECURED
        assert connection.agreement.packet_filter is not None
        assert connection.agreement.stream_id == "live/cam"
        assert connection.agreement.receive_delay == connection.agreement.peer_delay == 300 * MILLI
    check_both_ways(pair)


@pytest.mark.parametrize("seed", range(30))
def test_lost_and_repeated_steps_make_one_connection(seed: int) -> None:
    links = [Link(loss=0.3, jitter=20 * MILLI, duplicate=0.2) for _ in range(2)]
    options = SrtOptions(latency=1.0)
    pair = Pair(seed=seed, caller=options, listener=options, forth=links[0], back=links[1])
    meet(pair, late=seed * 13 * MILLI)
    assert pair.refused is None
    assert len(pair.connections) == 2
    links[0].loss = links[1].loss = 0.0
    check_both_ways(pair)


def test_a_lost_last_word_is_made_good_by_the_first_packet_that_follows() -> None:
    def is_agreement(packet: bytes, _: int) -> bool:
        return packet[:4] == bytes.fromhex("80000000") and Handshake.decode(packet[16:]).kind == AGREEMENT

    pair = Pair(forth=Link(drop=is_agreement), back=Link(drop=is_agreement))
    pair.meet()
    pair.run(for_=SECOND, until=lambda: len(pair.connections) == 1)
    (side,) = pair.connections
    pair.send([b"first"], side)
    pair.run(for_=SECOND)
    assert len(pair.connections) == 2
    other = LISTENER if side == CALLER else CALLER
    assert [payload for _, payload in pair.delivered[other]] == [b"first"]


def test_a_responder_that_asks_again_hears_the_last_word_again() -> None:
    dropped: list[bytes] = []

    def drop_first_agreement(packet: bytes, _: int) -> bool:
        is_it = packet[:4] == bytes.fromhex("80000000") and Handshake.decode(packet[16:]).kind == AGREEMENT
        if is_it and not dropped:
            dropped.append(packet)
            return True
        return False

    pair = Pair(forth=Link(drop=drop_first_agreement), back=Link(drop=drop_first_agreement))
    meet(pair)
    assert len(pair.connections) == 2
    assert dropped
    assert kinds(pair).count(AGREEMENT) >= 2


@pytest.mark.parametrize(
    ("ours", "theirs", "code"),
    [
        ({"passphrase": SECRET}, {"passphrase": "another passphrase"}, RejectionReason.BADSECRET),
        ({"passphrase": SECRET}, {}, RejectionReason.UNSECURE),
        (
            {"passphrase": SECRET, "crypto_mode": "gcm"},
            {"passphrase": SECRET},
            RejectionReason.CRYPTO,
        ),
        ({"packet_filter": "fec,cols:10"}, {"packet_filter": "fec,cols:5"}, RejectionReason.FILTER),
        ({"packet_filter": "fec,cols:10"}, {}, RejectionReason.FILTER),
    ],
)
@pytest.mark.parametrize("seed", range(4))
def test_a_mismatch_ends_both_sides_with_the_reason(
    seed: int, ours: dict[str, str], theirs: dict[str, str], code: int
) -> None:
    pair = Pair(seed=seed, caller=SrtOptions(**ours), listener=SrtOptions(**theirs))  # type: ignore[arg-type]
    pair.meet()
    pair.run(for_=5 * SECOND)
    refusals = [
        notice.what.code
        for side in (CALLER, LISTENER)
        for notice in pair.notices[side]
        if isinstance(notice.what, RefusedError)
    ]
    assert refusals == [code, code]
    assert not pair.connections


def test_nobody_comes_and_patience_is_ten_timeouts_long() -> None:
    pair = Pair(caller=SrtOptions(connect_timeout=1.0), forth=Link(drop=lambda *_: True))
    began = pair.now
    pair.sockets[CALLER].meet(LISTENER, pair.options[CALLER], now=pair.now)
    pair.drain(CALLER)
    pair.run(for_=20 * SECOND, until=lambda: pair.refused is not None)
    assert pair.refused is not None
    assert pair.refused.code == RejectionReason.TIMEOUT
    assert pair.now - began == 10 * SECOND
    assert kinds(pair) == [WAVEAHAND] * 40


def test_a_caller_at_the_door_of_a_rendezvous_is_not_let_in() -> None:
    pair = Pair()
    pair.sockets[LISTENER].listener = None
    pair.sockets[LISTENER].meet(CALLER, pair.options[LISTENER], now=pair.now)
    pair.drain(LISTENER)
    pair.call()
    pair.run(for_=4 * SECOND)
    assert not pair.connections
    assert CONCLUSION not in kinds(pair)


def test_a_peer_that_starts_anew_is_met_anew() -> None:
    pair = Pair(seed=3)
    pair.meet()
    pair.run(for_=15 * MILLI)
    pair.sockets[LISTENER].hang_up(next(iter(pair.sockets[LISTENER]._calls)))
    pair.sockets[LISTENER].meet(CALLER, pair.options[LISTENER], now=pair.now)
    pair.drain(LISTENER)
    pair.run(for_=5 * SECOND, until=lambda: len(pair.connections) == 2)
    check_both_ways(pair)
