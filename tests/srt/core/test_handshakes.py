"""Callers and listeners: who gets in, who does not and is told why, and what strangers cost."""

from __future__ import annotations

import random
from collections.abc import Callable

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from terzetto.primitives.datagrams import Address, Run
from terzetto.srt.core.cookie import CookieJar
from terzetto.srt.core.flood import AttemptLimit
from terzetto.srt.core.listener import ConnectionRequest
from terzetto.srt.core.multiplexer import Multiplexer
from terzetto.srt.events import ConnectionRefused
from terzetto.srt.options import ANNOUNCED_VERSION, SrtOptions
from terzetto.srt.wire.control import ControlType, encode_control
from terzetto.srt.wire.extensions import Capabilities, Capability, Extensions, GroupMembership
from terzetto.srt.wire.handshake import CONCLUSION, INDUCTION, Handshake
from terzetto.srt.wire.key_material import KmState
from terzetto.srt.wire.rejection import RejectionReason
from tests.srt.core.pair import CALLER, LISTENER, MILLI, SECOND, Link, Pair
from tests.srt.vectors import VECTORS

SECRET = "correct horse battery"


def handshakes(pair: Pair, side: Address) -> list[Handshake]:
    return [Handshake.decode(p[16:]) for _, s, p in pair.wire if s == side and p[:4] == b"\x80\0\0\0"]


def test_the_four_steps_say_what_the_protocol_wants_them_to() -> None:
    pair = Pair(
        caller=SrtOptions(stream_id="live/cam", passphrase=SECRET, key_length=32),
        listener=SrtOptions(passphrase=SECRET),
    )
    caller, listener = pair.connect()
    induction, conclusion = handshakes(pair, CALLER)
    challenge, response = handshakes(pair, LISTENER)
    assert (induction.version, induction.extension, induction.kind, induction.cookie) == (4, 2, INDUCTION, 0)
    assert (challenge.version, challenge.extension, challenge.kind) == (5, 0x4A17, INDUCTION)
    assert challenge.socket_id == induction.socket_id
    assert challenge.cookie != 0
    assert (conclusion.version, conclusion.encryption, conclusion.extension) == (5, 4, 7)
    assert conclusion.cookie == challenge.cookie
    offered = Extensions.decode(conclusion.blocks)
    assert offered.stream_id == b"live/cam"
    assert offered.capabilities == Capabilities(ANNOUNCED_VERSION, Capability(0xBF), 120, 0)
    answered = Extensions.decode(response.blocks)
    assert answered.capabilities == Capabilities(ANNOUNCED_VERSION, Capability(0xBF), 120, 120)
    assert answered.key_material == offered.key_material
    assert response.initial_sequence == conclusion.initial_sequence
    assert response.socket_id == listener.agreement.local_id == caller.agreement.peer_id
    assert len(pair.wire[0][2]) == len(pair.wire[1][2]) == 64, "a stranger gets no more than it gave"
    assert listener.agreement.stream_id == "live/cam"


@pytest.mark.parametrize(
    ("ours", "theirs", "received", "sent"),
    [
        ((0.12, 0.0), (0.12, 0.0), 120, 120),
        ((0.2, 0.0), (0.12, 0.0), 200, 120),
        ((0.0, 0.5), (0.1, 0.0), 0, 500),
        ((0.1, 0.0), (0.1, 0.4), 400, 100),
    ],
)
def test_latencies_are_negotiated_per_direction(
    ours: tuple[float, float], theirs: tuple[float, float], received: int, sent: int
) -> None:
    pair = Pair(
        caller=SrtOptions(receive_latency=ours[0], peer_latency=ours[1]),
        listener=SrtOptions(receive_latency=theirs[0], peer_latency=theirs[1]),
    )
    caller, listener = pair.connect()
    assert caller.agreement.receive_delay == listener.agreement.peer_delay == received * MILLI
    assert caller.agreement.peer_delay == listener.agreement.receive_delay == sent * MILLI


@pytest.mark.parametrize(
    ("caller", "listener", "code"),
    [
        (SrtOptions(passphrase=SECRET), SrtOptions(passphrase=SECRET + "!"), RejectionReason.BADSECRET),
        (SrtOptions(passphrase=SECRET), SrtOptions(), RejectionReason.UNSECURE),
        (SrtOptions(), SrtOptions(passphrase=SECRET), RejectionReason.UNSECURE),
        (SrtOptions(), SrtOptions(min_version=0x020000), RejectionReason.VERSION),
        (
            SrtOptions(passphrase=SECRET, crypto_mode="gcm"),
            SrtOptions(passphrase=SECRET, crypto_mode="ctr"),
            RejectionReason.CRYPTO,
        ),
        (
            SrtOptions(passphrase=SECRET, crypto_mode="ctr"),
            SrtOptions(passphrase=SECRET, crypto_mode="gcm"),
            RejectionReason.CRYPTO,
        ),
    ],
)
def test_a_mismatch_is_refused_and_both_sides_know_why(
    caller: SrtOptions, listener: SrtOptions, code: RejectionReason
) -> None:
    pair = Pair(caller=caller, listener=listener)
    pair.call()
    pair.run(for_=1 * SECOND)
    assert pair.refused is not None
    assert pair.refused.code == code
    assert [event.code for event in pair.events(LISTENER, ConnectionRefused)] == [code]
    assert not pair.listener.connections


@pytest.mark.parametrize(
    ("theirs", "ours", "caller_states", "arrives"),
    [
        (SECRET, SECRET + "!", (KmState.BADSECRET, KmState.BADSECRET), False),
        (SECRET, "", (KmState.NOSECRET, KmState.UNSECURED), False),
        ("", SECRET, (KmState.UNSECURED, KmState.NOSECRET), True),
    ],
)
def test_without_enforcement_a_mismatch_connects_and_nothing_unreadable_is_delivered(
    theirs: str, ours: str, caller_states: tuple[KmState, KmState], arrives: bool
) -> None:
    pair = Pair(
        caller=SrtOptions(passphrase=theirs, enforced_encryption=False),
        listener=SrtOptions(passphrase=ours, enforced_encryption=False),
    )
    caller, listener = pair.connect()
    assert (caller.security().sending, caller.security().receiving) == caller_states
    pair.send([b"clear text" * 10])
    pair.send([b"from the other side"], side=LISTENER)
    pair.run(for_=1 * SECOND)
    assert bool(pair.delivered[LISTENER]) is arrives
    assert listener.counters.undecrypted == (0 if arrives else 1)
    assert pair.delivered[CALLER] == ([] if ours else pair.delivered[CALLER])


def change_conclusion(pair: Pair, change: Callable[[Handshake], Handshake]) -> None:
    """Alter the caller's conclusions on the way."""
    deliver = pair.arrive

    def arrive(source: Address, target: Address, packet: bytes) -> None:
        if source == CALLER and packet[:4] == b"\x80\0\0\0":
            handshake = Handshake.decode(packet[16:])
            if handshake.kind == CONCLUSION:
                packet = packet[:16] + change(handshake).encode()
        deliver(source, target, packet)

    pair.arrive = arrive  # type: ignore[method-assign]


def with_blocks(**changes: object) -> Callable[[Handshake], Handshake]:
    def change(handshake: Handshake) -> Handshake:
        blocks = attrs.evolve(Extensions.decode(handshake.blocks), **changes)  # type: ignore[arg-type]
        return attrs.evolve(handshake, blocks=blocks.encode(is_response=False))

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (with_blocks(congestion=b"file"), RejectionReason.CONGESTION),
        (with_blocks(group=GroupMembership(0x40000001, 1)), RejectionReason.GROUP),
        (with_blocks(capabilities=None), RejectionReason.ROGUE),
        (
            with_blocks(capabilities=Capabilities(0x010501, Capability(0xFF), 1, 1)),
            RejectionReason.MESSAGEAPI,
        ),
        (with_blocks(capabilities=Capabilities(0x010200, Capability(0xBF), 1, 1)), RejectionReason.ROGUE),
        (with_blocks(key_material=b"\x12\x20\x29\x01" + bytes(60)), RejectionReason.ROGUE),
        (lambda handshake: attrs.evolve(handshake, version=6), RejectionReason.VERSION),
        (lambda handshake: attrs.evolve(handshake, blocks=b"\0\5\0\xff"), RejectionReason.ROGUE),
    ],
)
def test_conclusions_that_do_not_fit_are_refused_with_the_reason(
    change: Callable[[Handshake], Handshake], code: RejectionReason
) -> None:
    # A listener with a passphrase, where a clear caller would be refused anyway, has to look at the rest first.
    pair = Pair(listener=SrtOptions(passphrase=SECRET if code is RejectionReason.ROGUE else ""))
    change_conclusion(pair, change)
    pair.call()
    pair.run(for_=1 * SECOND)
    assert pair.refused is not None
    assert pair.refused.code == code


def test_an_old_peers_gcm_is_refused_because_it_repeats_nonces() -> None:
    pair = Pair(
        caller=SrtOptions(passphrase=SECRET, crypto_mode="gcm"), listener=SrtOptions(passphrase=SECRET)
    )
    change_conclusion(pair, with_blocks(capabilities=Capabilities(0x010503, Capability(0xBF), 120, 0)))
    pair.call()
    pair.run(for_=1 * SECOND)
    assert pair.refused is not None
    assert pair.refused.code == RejectionReason.CRYPTO


@pytest.mark.parametrize("code", [1403, 2005])
def test_an_application_refuses_with_a_code_of_its_own_that_travels_shifted(code: int) -> None:
    pair = Pair(decide=lambda pair, request: pair.listener.refuse(request, code, now=pair.now))
    pair.call()
    pair.run(for_=1 * SECOND)
    assert pair.refused is not None
    assert pair.refused.code == code
    assert handshakes(pair, LISTENER)[-1].kind == 1000 + code


@pytest.mark.parametrize("seed", range(8))
def test_lost_and_repeated_steps_make_one_connection(seed: int) -> None:
    pair = Pair(
        seed=seed,
        caller=SrtOptions(connect_timeout=60),
        forth=Link(loss=0.5, duplicate=0.5),
        back=Link(loss=0.5, duplicate=0.5),
    )
    pair.call()
    pair.run(for_=60 * SECOND, until=lambda: len(pair.connections) == 2)
    pair.links[CALLER].loss = pair.links[LISTENER].loss = 0.0
    pair.run(for_=1 * SECOND)
    assert len(pair.caller.connections) == len(pair.listener.connections) == 1
    pair.send([b"it works"])
    pair.run(for_=1 * SECOND)
    assert [data for _, data in pair.delivered[LISTENER]] == [b"it works"]


def test_a_slow_decision_is_asked_for_once() -> None:
    requests: list[ConnectionRequest] = []

    def decide(pair: Pair, request: ConnectionRequest) -> None:
        requests.append(request)
        pair.at(pair.now + SECOND, lambda: accept(pair, request))

    def accept(pair: Pair, request: ConnectionRequest) -> None:
        pair.listener.accept(request, SrtOptions(), now=pair.now)
        pair.drain(LISTENER)

    pair = Pair(decide=decide)
    pair.connect()
    assert len(requests) == 1
    assert len([h for h in handshakes(pair, CALLER) if h.kind == CONCLUSION]) >= 4


def test_a_replayed_conclusion_revives_nothing() -> None:
    pair = Pair()
    caller, _ = pair.connect()
    conclusion = [p for _, s, p in pair.wire if s == CALLER and p[:4] == b"\x80\0\0\0"][-1]
    pair.arrive(CALLER, LISTENER, conclusion)
    assert len(pair.listener.connections) == 1
    caller.abort(now=pair.now)
    pair.touch(CALLER)
    pair.run(for_=100 * MILLI)
    pair.connections[LISTENER].close(now=pair.now)
    pair.touch(LISTENER)
    assert not pair.listener.connections
    pair.arrive(CALLER, LISTENER, conclusion)
    assert not pair.listener.connections


def test_silence_ends_a_call_after_its_time() -> None:
    pair = Pair(caller=SrtOptions(connect_timeout=1.0), forth=Link(loss=1.0))
    pair.call()
    start = pair.now
    pair.run(for_=10 * SECOND, until=lambda: pair.refused is not None)
    assert pair.refused is not None
    assert pair.refused.code == RejectionReason.TIMEOUT
    assert not pair.refused.has_heard
    assert pair.now - start == 1 * SECOND
    assert len(handshakes(pair, CALLER)) == 4


@pytest.mark.parametrize(
    ("change", "code"),
    [({"extension": 0}, RejectionReason.ROGUE), ({"extension": 2}, RejectionReason.ROGUE)],
)
def test_what_is_not_srt_is_refused_by_the_caller(change: dict[str, int], code: RejectionReason) -> None:
    pair = Pair()
    pair.call()
    question = handshakes(pair, CALLER)[0]
    answer = attrs.evolve(question, **{"version": 5, "extension": 0x4A17, "cookie": 7, **change})  # type: ignore[arg-type]
    packet = encode_control(
        ControlType.HANDSHAKE, timestamp=0, destination=question.socket_id, body=answer.encode()
    )
    pair.arrive(LISTENER, CALLER, packet)
    assert pair.refused is not None
    assert pair.refused.code == code


def test_the_backlog_bounds_who_waits() -> None:
    pair = Pair(listener=SrtOptions(backlog=2))
    core = pair.listener
    replies = [knock(core, Address("192.0.2.9", 1000 + number), now=pair.now) for number in range(5)]
    assert [reply.kind for reply in replies] == [0, 0, 1005, 1005, 1005]


def knock(core: Multiplexer, peer: Address, *, now: int) -> Handshake:
    """Make both steps as a stranger would; the answer, with kind 0 when the request waits for a decision."""
    question = Handshake(
        version=4, extension=2, initial_sequence=5, flow_window=8192, kind=INDUCTION, socket_id=77
    )
    cookie = ask(core, peer, question, now=now).cookie
    blocks = Extensions(capabilities=Capabilities(0x010501, Capability(0xBF), 120, 0))
    conclusion = attrs.evolve(
        question,
        version=5,
        extension=1,
        kind=CONCLUSION,
        cookie=cookie,
        blocks=blocks.encode(is_response=False),
    )
    return ask(core, peer, conclusion, now=now)


def ask(core: Multiplexer, peer: Address, question: Handshake, *, now: int) -> Handshake:
    packet = encode_control(ControlType.HANDSHAKE, timestamp=0, destination=0, body=question.encode())
    core.handle_datagrams([Run(peer, [packet])], now=now)
    transmits = core.poll_transmits()
    if not transmits:
        return attrs.evolve(question, kind=0)
    assert len(transmits) == 1
    assert transmits[0].peer == peer
    return Handshake.decode(transmits[0].datagrams[0][16:])


def test_a_spoofed_flood_leaves_no_trace_and_honest_callers_get_through() -> None:
    pair = Pair()
    core = pair.listener
    listener = core.listener
    assert listener is not None
    luck = random.Random(4)
    question = Handshake(
        version=4, extension=2, initial_sequence=5, flow_window=8192, kind=INDUCTION, socket_id=77
    )
    for number in range(3000):
        peer = Address(
            f"10.{luck.randrange(256)}.{luck.randrange(256)}.{luck.randrange(256)}", luck.randrange(1, 65536)
        )
        answer = ask(core, peer, question, now=pair.now)
        assert answer.kind == INDUCTION
        # A guessed cookie gets no answer at all.
        guess = attrs.evolve(question, version=5, kind=CONCLUSION, cookie=number + 1)
        assert ask(core, peer, guess, now=pair.now).kind == 0
    assert not listener.pending
    assert not listener._remembered
    assert not core.connections
    assert core.next_timeout() is None
    pair.connect()
    assert len(core.connections) == 1


def test_one_corner_of_the_network_cannot_use_up_the_listener() -> None:
    pair = Pair(listener=SrtOptions(backlog=10_000))
    answers = [knock(pair.listener, Address("192.0.2.9", 1000 + n), now=pair.now) for n in range(400)]
    listener = pair.listener.listener
    assert listener is not None
    assert len(listener.pending) == 200
    assert all(answer.kind == 0 for answer in answers)
    knock(pair.listener, Address("198.51.100.1", 1000), now=pair.now)
    assert len(listener.pending) == 201


def test_short_inductions_get_no_answer() -> None:
    pair = Pair()
    pair.listener.handle_datagrams([Run(CALLER, [VECTORS["clear induction request"][:60]])], now=pair.now)
    assert pair.listener.poll_transmits() == []


def test_cookies_are_keyed_bound_to_an_address_and_expire() -> None:
    jar, other = CookieJar(b"a" * 32), CookieJar(b"b" * 32)
    cookie = jar.bake(CALLER, now=0)
    assert jar.is_ours(cookie, CALLER, now=0)
    assert jar.is_ours(cookie, CALLER, now=59 * SECOND)
    assert not jar.is_ours(cookie, CALLER, now=61 * SECOND)
    assert not jar.is_ours(cookie, CALLER._replace(port=1), now=0)
    assert not other.is_ours(cookie, CALLER, now=0)
    assert not jar.is_ours(0, CALLER, now=0)


def test_attempts_are_limited_by_prefix_and_in_number_of_prefixes() -> None:
    limit = AttemptLimit()
    assert sum(limit.allows(f"192.0.2.{n % 250}", now=0) for n in range(500)) == 200
    assert limit.allows("192.0.2.1", now=SECOND)
    assert limit.allows("2001:db8::1", now=0)
    for number in range(3000):
        limit.allows(f"10.{number >> 8}.{number & 255}.1", now=0)
    assert len(limit._buckets) <= 1024


class HostileHandshake(RuleBasedStateMachine):
    """Whatever handshake packets arrive in whatever order: no exception, bounded state, never two connections."""

    @initialize(seed=st.integers(0, 1000))
    def begin(self, seed: int) -> None:
        self.pair = Pair(seed=seed, listener=SrtOptions(backlog=4))
        self.pair.call()

    @rule(milliseconds=st.integers(0, 400))
    def let_time_pass(self, milliseconds: int) -> None:
        self.pair.run(for_=milliseconds * MILLI)

    @rule(index=st.integers(0, 50), bit=st.integers(0, 2000), to_listener=st.booleans())
    def repeat_something_altered(self, index: int, bit: int, to_listener: bool) -> None:
        _, _, packet = self.pair.wire[index % len(self.pair.wire)]
        altered = bytearray(packet)
        altered[bit // 8 % len(altered)] ^= 1 << bit % 8
        self.pair.arrive(*((CALLER, LISTENER) if to_listener else (LISTENER, CALLER)), bytes(altered))

    @rule(index=st.integers(0, 50))
    def repeat_something(self, index: int) -> None:
        _, side, packet = self.pair.wire[index % len(self.pair.wire)]
        self.pair.arrive(side, LISTENER if side == CALLER else CALLER, packet)

    @rule(data=st.binary(max_size=120), to_listener=st.booleans())
    def send_garbage(self, data: bytes, to_listener: bool) -> None:
        self.pair.arrive(*((CALLER, LISTENER) if to_listener else (LISTENER, CALLER)), data)

    @invariant()
    def state_is_bounded(self) -> None:
        listener = self.pair.listener.listener
        assert listener is not None
        assert len(listener.pending) <= 4
        assert len(self.pair.caller.connections) <= 1


TestHostileHandshake = HostileHandshake.TestCase
TestHostileHandshake.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
