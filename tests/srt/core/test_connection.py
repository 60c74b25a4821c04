"""Whole connections between two cores: what must always hold, whatever the network does."""

from __future__ import annotations

from functools import partial

import pytest

from terzetto.primitives.datagrams import Run
from terzetto.srt.core.connection import Connection, Signal, State
from terzetto.srt.events import KeyRotated, PacketsSkipped, PeerClosed, PeerLost
from terzetto.srt.options import SrtOptions
from terzetto.srt.wire.control import ControlType
from terzetto.srt.wire.key_material import KmState
from tests.srt.core.pair import CALLER, LISTENER, MILLI, SECOND, Link, Pair

SECRET = "correct horse battery"


def payload(number: int) -> bytes:
    return b"%08d" % number * 20


def state(connection: Connection) -> State:
    """Asked anew each time; a type checker believes that an attribute stays what it was."""
    return connection.state


def stream(pair: Pair, count: int, *, every: int = 1 * MILLI, tail: int = 3 * SECOND) -> None:
    """Send numbered payloads at a steady pace, and run until they have been played."""
    start = pair.now
    for number in range(count):
        pair.at(start + number * every, partial(pair.send, [payload(number)]))
    pair.run(for_=count * every + tail)


def received(pair: Pair, side: object = LISTENER) -> list[int]:
    """The numbers that were delivered; every payload is checked, byte by byte."""
    numbers = []
    for _, data in pair.delivered[side]:  # type: ignore[index]
        number = int(data[:8])
        assert data == payload(number)
        numbers.append(number)
    return numbers


def check_invariants(pair: Pair, sender: Connection, receiver: Connection) -> None:
    """Nothing twice, nothing out of order, nothing before its time, every loss accounted for."""
    positions = [position for position, _ in pair.delivered[LISTENER]]
    assert positions == sorted(set(positions))
    numbers = received(pair)
    assert numbers == sorted(set(numbers))
    counters = receiver.counters
    assert counters.lost == counters.recovered + counters.skipped + receiver.receiver.losses.count
    assert max(pair.lateness, default=0) <= 1


def test_a_clean_network_delivers_everything_exactly_after_the_latency() -> None:
    pair = Pair(caller=SrtOptions(), listener=SrtOptions())
    sender, receiver = pair.connect()
    sent_at = pair.now
    pair.send([payload(0)])
    pair.run(for_=2 * SECOND)
    assert received(pair) == [0]
    assert sender.agreement.peer_delay == receiver.agreement.receive_delay == 120 * MILLI
    # The handshake took as long to arrive as the packet, so the packet plays one delay and the latency later.
    arrived = [at for at, side, packet in pair.wire if side == CALLER and packet[0] < 0x80]
    assert arrived == [sent_at]
    assert pair.lateness == [0]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("loss", "round_trip", "jitter"),
    [(0.0, 20, 0), (0.02, 80, 5), (0.1, 20, 4), (0.1, 200, 20), (0.3, 20, 2), (0.05, 2000, 50)],
)
def test_losses_are_repaired_within_a_latency_of_several_round_trips(
    seed: int, loss: float, round_trip: int, jitter: int
) -> None:
    latency = min(60.0, 0.3 + 16 * round_trip / 1000)
    options = SrtOptions(latency=latency, connect_timeout=60, flow_window=60_000, peer_idle_timeout=30)
    pair = Pair(
        seed=seed,
        caller=options,
        listener=options,
        forth=Link(delay=round_trip * 500, jitter=jitter * MILLI, loss=loss, duplicate=0.01),
        back=Link(delay=round_trip * 500, jitter=jitter * MILLI, loss=loss, duplicate=0.01),
    )
    pair.call()
    pair.run(for_=60 * SECOND, until=lambda: len(pair.connections) == 2)
    sender, receiver = pair.connections[CALLER], pair.connections[LISTENER]
    stream(pair, 600, every=2 * MILLI, tail=int(latency * 1.5 * SECOND) + 4 * SECOND)
    check_invariants(pair, sender, receiver)
    assert received(pair) == list(range(600))


def test_what_cannot_be_repaired_in_time_is_skipped_and_said() -> None:
    lost = {10, 11, 12}
    numbers_seen: set[int] = set()

    def drop(packet: bytes, _: int) -> bool:
        if packet[0] >= 0x80:
            return False
        number = int(packet[16:24])
        numbers_seen.add(number)
        return number in lost

    pair = Pair(forth=Link(drop=drop))
    sender, receiver = pair.connect()
    stream(pair, 100)
    check_invariants(pair, sender, receiver)
    assert received(pair) == [number for number in range(100) if number not in lost]
    assert [event.count for event in pair.events(LISTENER, PacketsSkipped)] == [3]
    assert receiver.counters.skipped == 3
    assert sender.counters.retransmitted >= 3


def test_a_reader_that_comes_late_is_given_what_stands_behind_a_gap_whose_time_is_up() -> None:
    pair = Pair(back=Link(drop=lambda packet, now: packet[:2] == b"\x80\x03"))
    _, receiving = pair.connect()
    for index in range(3):
        pair.links[CALLER].drop = (lambda packet, now: True) if index == 1 else None
        pair.send([bytes([index])])
    pair.run(for_=50 * MILLI)
    # The process stood still, and now the reader comes before the timer.
    late = pair.clock(LISTENER) + SECOND
    assert [bytes(payload) for *_, payload in receiving.take(now=late, limit=64)] == [b"\x00", b"\x02"]
    # Nothing is left, so a reader may wait: it has not been told already what it is to wait for.
    assert receiving.take(now=late, limit=64) == []
    assert Signal.READABLE not in receiving.happenings
    assert [what for what in receiving.happenings if isinstance(what, PacketsSkipped)] == [PacketsSkipped(1)]


def test_the_last_packet_is_repaired_though_nothing_follows_it() -> None:
    dropped: list[bytes] = []

    def drop(packet: bytes, _: int) -> bool:
        if packet[0] < 0x80 and int(packet[16:24]) >= 47 and len(dropped) < 3:
            dropped.append(packet)
            return True
        return False

    options = SrtOptions(latency=0.5)
    pair = Pair(caller=options, listener=options, forth=Link(drop=drop))
    pair.connect()
    stream(pair, 50)
    assert len(dropped) == 3
    assert received(pair) == list(range(50))


def test_a_gap_that_is_never_reported_is_repaired_when_the_stream_pauses() -> None:
    """A packet filter may wait for what completes its matrix, and a report may be lost."""
    once = [20]

    def drop(packet: bytes, _: int) -> bool:
        return packet[0] < 0x80 and int(packet[16:24]) in once and once.pop() > 0

    options = SrtOptions(latency=0.5)
    silent = Link(drop=lambda packet, _: packet[:2] == b"\x80\x03")
    pair = Pair(caller=options, listener=options, forth=Link(drop=drop), back=silent)
    sending, _ = pair.connect()
    stream(pair, 50)
    assert received(pair) == list(range(50))
    assert sending.counters.naks_received == 0
    assert sending.counters.retransmitted == 2


@pytest.mark.parametrize("length", [16, 24, 32])
@pytest.mark.parametrize("mode", ["ctr", "gcm"])
def test_encrypted_streams_arrive_under_loss(length: int, mode: str) -> None:
    caller = SrtOptions(latency=0.5, passphrase=SECRET, key_length=length, crypto_mode=mode)
    pair = Pair(
        seed=length,
        caller=caller,
        listener=SrtOptions(passphrase=SECRET),
        forth=Link(loss=0.05),
        back=Link(loss=0.05),
    )
    pair.call()
    pair.run(for_=3 * SECOND, until=lambda: len(pair.connections) == 2)
    sender, receiver = pair.connections[CALLER], pair.connections[LISTENER]
    assert receiver.security().receiving is KmState.SECURED
    stream(pair, 300)
    check_invariants(pair, sender, receiver)
    assert received(pair) == list(range(300))
    data = [packet for _, side, packet in pair.wire if side == CALLER and packet[0] < 0x80]
    assert all(packet[4] & 0x18 == 0x08 for packet in data)
    assert not any(payload(0)[:8] in packet for packet in data)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("mode", ["ctr", "gcm"])
def test_keys_change_under_loss_and_no_garbage_is_delivered(seed: int, mode: str) -> None:
    """Keys live a third of the latency here, so repeats under three keys are under way at a time."""
    caller = SrtOptions(
        latency=0.6, passphrase=SECRET, crypto_mode=mode, key_refresh_rate=100, key_preannounce=40
    )
    pair = Pair(
        seed=seed,
        caller=caller,
        listener=SrtOptions(passphrase=SECRET),
        forth=Link(loss=0.1, jitter=3 * MILLI),
        back=Link(loss=0.1),
    )
    pair.call()
    pair.run(for_=3 * SECOND, until=lambda: len(pair.connections) == 2)
    sender, receiver = pair.connections[CALLER], pair.connections[LISTENER]
    stream(pair, 1500)
    check_invariants(pair, sender, receiver)
    assert len(pair.events(CALLER, KeyRotated)) >= 5
    assert receiver.counters.undecrypted == 0
    assert received(pair) == list(range(1500))


def test_a_receiver_that_missed_a_key_delivers_nothing_rather_than_garbage() -> None:
    """A peer may switch without our confirmation, as libsrt does; here every announcement is lost."""

    def drop(packet: bytes, _: int) -> bool:
        return packet[:4] == bytes.fromhex("ffff0003")

    options = SrtOptions(passphrase=SECRET, key_refresh_rate=60, key_preannounce=20)
    pair = Pair(caller=options, listener=options, forth=Link(drop=drop))
    sender, receiver = pair.connect()

    def switch_unconfirmed() -> None:
        keys = sender.agreement.keys.sending
        assert keys is not None
        keys._confirmed = True

    for moment in range(0, 400, 10):
        pair.at(pair.now + moment * MILLI, switch_unconfirmed)
    stream(pair, 400)
    check_invariants(pair, sender, receiver)
    assert received(pair) == list(range(60))
    assert receiver.counters.undecrypted == 340


def test_sequence_message_and_time_stamps_wrap_without_a_trace() -> None:
    pair = Pair(forth=Link(loss=0.05), back=Link(loss=0.02), seed=5, caller=SrtOptions(latency=0.4))
    pair.call()
    # The initial sequence number of a call is the first thing drawn; let it be just before the wrap.
    caller = next(iter(pair.caller._calls.values()))
    caller._initial_sequence = 0x7FFFFFF0
    caller._started_at -= 0xFFFFFFFF - 1 * SECOND
    pair.run(for_=3 * SECOND, until=lambda: len(pair.connections) == 2)
    sender, receiver = pair.connections[CALLER], pair.connections[LISTENER]
    sender.sender._message = 0x3FFFFF0
    stream(pair, 2000)
    check_invariants(pair, sender, receiver)
    assert received(pair) == list(range(2000))


@pytest.mark.slow
@pytest.mark.parametrize("is_tracing", [True, False])
def test_clocks_that_drift_apart_do_not_move_the_latency(is_tracing: bool) -> None:
    """A caller's clock 200 ppm fast gains 10 ms in 50 s; the tracer keeps the latency within 4 of what it was."""
    options = SrtOptions(latency=0.1, drift_tracer=is_tracing)
    pair = Pair(caller=options, listener=options, skew_ppm=200)
    pair.connect()
    start = pair.now
    sent_at = {number: start + number * 10 * MILLI for number in range(5000)}
    for number, moment in sent_at.items():
        pair.at(moment, partial(pair.send, [payload(number)]))
    delays = []
    while pair.now < start + 51 * SECOND:
        before = len(pair.delivered[LISTENER])
        pair.run(for_=1 * MILLI)
        delays += [pair.now - sent_at[int(data[:8])] for _, data in pair.delivered[LISTENER][before:]]
    assert received(pair) == list(range(5000))
    assert abs(delays[0] - 111 * MILLI) <= 1 * MILLI
    moved = abs(delays[-1] - delays[0])
    assert moved < 4 * MILLI if is_tracing else moved > 9 * MILLI


def test_a_slow_reader_closes_the_window_and_opens_it_again() -> None:
    options = SrtOptions(receive_buffer=64 * 1472, send_drop_delay=-0.001)
    pair = Pair(caller=options, listener=options)
    sender, receiver = pair.connect()
    pair._read = lambda side: None  # type: ignore[method-assign]
    for number in range(300):
        pair.at(pair.now + number * MILLI, partial(pair.send, [payload(number)]))
    pair.run(for_=1 * SECOND)
    assert sender.sender.flow_window <= 1
    assert receiver.counters.no_room == 0
    del pair._read
    pair._read(LISTENER)
    pair.run(for_=4 * SECOND)
    assert received(pair) == list(range(300))


def test_a_sender_drops_what_the_receiver_could_not_play_any_more() -> None:
    pair = Pair()
    sender, _ = pair.connect()
    pair.links[CALLER].drop = lambda packet, now: packet[0] < 0x80
    stream(pair, 3000, tail=0)
    assert sender.counters.dropped_by_sender > 1500
    assert sender.sender.buffer.packets
    pair.links[CALLER].drop = None
    before = len(pair.delivered[LISTENER])
    stream(pair, 500)
    assert len(pair.delivered[LISTENER]) - before > 450


def test_silence_breaks_the_connection_and_is_said_on_both_sides() -> None:
    pair = Pair(caller=SrtOptions(peer_idle_timeout=2), listener=SrtOptions(peer_idle_timeout=2))
    sender, receiver = pair.connect()
    pair.run(for_=30 * SECOND)
    assert state(sender) is state(receiver) is State.CONNECTED, "keepalives hold an idle connection"
    pair.links[CALLER].loss = pair.links[LISTENER].loss = 1.0
    pair.run(for_=4 * SECOND)
    assert state(sender) is state(receiver) is State.BROKEN
    assert pair.events(CALLER, PeerLost)
    assert "silent" in sender.reason
    assert Signal.ENDED in [notice.what for notice in pair.notices[LISTENER]]


def test_closing_waits_until_the_peer_has_played_and_then_says_goodbye_once() -> None:
    pair = Pair(forth=Link(loss=0.2), back=Link(loss=0.1), seed=3, caller=SrtOptions(latency=0.4))
    pair.call()
    pair.run(for_=3 * SECOND, until=lambda: len(pair.connections) == 2)
    sender = pair.connections[CALLER]
    pair.links[CALLER].loss = 0.1
    for number in range(100):
        pair.send([payload(number)])
    sender.close(now=pair.now)
    pair.touch(CALLER)
    assert state(sender) is State.CLOSING
    pair.run(for_=5 * SECOND)
    assert state(sender) is State.CLOSED
    assert received(pair) == list(range(100))
    goodbyes = [packet for _, side, packet in pair.wire if side == CALLER and packet[:2] == b"\x80\x05"]
    assert len(goodbyes) == 1


def test_what_is_left_behind_when_a_connection_is_closed_in_a_hurry_is_counted() -> None:
    pair = Pair(caller=SrtOptions(linger=0, max_bandwidth=50_000))
    sender, _ = pair.connect()
    for number in range(50):
        pair.send([payload(number) * 8])
    sender.close(now=pair.now)
    pair.touch(CALLER)
    assert state(sender) is State.CLOSED
    assert sender.counters.dropped_by_sender == 50
    assert sender.counters.bytes_dropped_by_sender == 50 * (len(payload(0)) * 8 + 44)


def test_what_came_before_a_goodbye_is_still_delivered_in_its_time() -> None:
    pair = Pair()
    sender, receiver = pair.connect()
    for number in range(10):
        pair.send([payload(number)])
    sender.abort(now=pair.now)
    pair.touch(CALLER)
    pair.run(for_=50 * MILLI)
    assert received(pair) == []
    assert state(receiver) is State.PEER_CLOSED
    pair.run(for_=1 * SECOND)
    assert received(pair) == list(range(10))
    assert pair.events(LISTENER, PeerClosed)
    assert pair.notices[LISTENER][-1].what is Signal.ENDED


def test_a_goodbye_that_comes_in_one_batch_with_the_last_data_leaves_nothing_due_for_ever() -> None:
    pair = Pair(forth=Link(drop=lambda packet, _: packet[0] < 0x80 or packet[1] == 5))
    sender, receiver = pair.connect()
    pair.send([payload(0), payload(1), payload(2)])
    sender.abort(now=pair.now)
    pair.touch(CALLER)
    batch = [p for _, side, p in pair.wire if side == CALLER and (p[0] < 0x80 or p[1] == 5)]
    assert len(batch) == 4
    del batch[1]
    pair.listener.handle_datagrams([Run(CALLER, batch)], now=pair.now)
    pair.drain(LISTENER)
    pair.run(for_=1 * SECOND)
    assert received(pair) == [0, 2]
    assert state(receiver) is State.PEER_CLOSED
    assert pair.listener.next_timeout() is None


def test_repeats_keep_to_a_bandwidth_of_their_own() -> None:
    caller = SrtOptions(latency=3.0, max_retransmit_bandwidth=10_000)
    pair = Pair(caller=caller, forth=Link(loss=0.3), seed=9)
    sender, _ = pair.connect()
    start = pair.now
    stream(pair, 2000, tail=0)
    repeats = [p for at, side, p in pair.wire if side == CALLER and at > start and p[0] < 0x80 and p[4] & 4]
    spent = sum(len(packet) + 28 for packet in repeats)
    assert 0.7 * 20_000 < spent < 1.5 * 20_000
    assert sender.sender._losses


def test_a_paced_sender_keeps_to_its_bandwidth() -> None:
    options = SrtOptions(max_bandwidth=100_000, send_drop_delay=-0.001)
    pair = Pair(caller=options)
    pair.connect()
    for number in range(400):
        pair.send([payload(number) * 8])
    start = pair.now
    pair.run(for_=2 * SECOND)
    sent = sum(len(p) + 28 for at, side, p in pair.wire if side == CALLER and p[0] < 0x80 and at > start)
    assert 0.9 * 200_000 < sent < 1.1 * 200_000


@pytest.mark.parametrize("algorithm", [0, 1])
def test_repeats_are_spared_for_a_round_trip_by_the_second_algorithm_alone(algorithm: int) -> None:
    lost: list[int] = []

    def drop(packet: bytes, _: int) -> bool:
        if packet[0] < 0x80 and int(packet[16:24]) == 40 and not lost:
            lost.append(40)
            return True
        return False

    caller = SrtOptions(latency=2.0, retransmit_algorithm=algorithm)
    pair = Pair(caller=caller, forth=Link(delay=200 * MILLI, drop=drop), back=Link(delay=200 * MILLI))
    sender, receiver = pair.connect()
    stream(pair, 3000)
    assert received(pair) == list(range(3000))
    assert receiver.counters.recovered == 1
    if algorithm == 1:
        assert sender.counters.retransmitted <= 3
    else:
        assert sender.counters.retransmitted >= 1


def test_reordering_within_the_tolerance_asks_for_nothing() -> None:
    options = SrtOptions(loss_max_ttl=20, latency=0.3)
    pair = Pair(caller=options, listener=options, forth=Link(jitter=5 * MILLI))
    sender, receiver = pair.connect()
    stream(pair, 1000)
    assert received(pair) == list(range(1000))
    assert receiver.counters.reorder_distance >= 2
    assert sender.counters.retransmitted < receiver.counters.lost // 5


def test_strange_control_packets_are_counted_and_end_nothing() -> None:
    pair = Pair()
    sender, _ = pair.connect()
    stream(pair, 20)
    identity = sender.agreement.local_id.to_bytes(4, "big")
    for head, body in [
        ("80020000" + "00000005", "7fffffff"),  # acknowledges what was never sent
        ("80030000" + "00000000", "00000001"),  # misses what was never sent
        ("80030000" + "00000000", "80000001"),  # a range without an end
        ("80070000" + "00000000", "00000001"),  # a drop request cut short
        ("80020000" + "00000000", ""),
        ("80990000" + "00000000", "00000000"),
        ("ffff0003" + "00000000", "00" * 200),
        ("ffff0004" + "00000000", "00000003"),  # a status word that would talk security down
    ]:
        pair.arrive(LISTENER, CALLER, bytes.fromhex(head) + bytes(4) + identity + bytes.fromhex(body))
    assert state(sender) is State.CONNECTED
    assert sum(sender.counters.malformed.values()) == 8
    stream(pair, 20)
    assert received(pair)[-20:] == list(range(20))


def test_packets_from_another_address_reach_nobody() -> None:
    pair = Pair()
    _, receiver = pair.connect()
    pair.send([payload(0)])
    goodbye = (
        bytes.fromhex("8005000000000000" + "00000000")
        + receiver.agreement.local_id.to_bytes(4, "big")
        + bytes(4)
    )
    stranger = CALLER._replace(port=4002)
    pair.arrive(stranger, LISTENER, goodbye)
    assert state(receiver) is State.CONNECTED
    assert pair.listener.malformed
    pair.arrive(CALLER, LISTENER, goodbye)
    assert state(receiver) is State.PEER_CLOSED


def test_a_storm_of_drop_requests_costs_little_and_lets_the_stream_go_on() -> None:
    pair = Pair(forth=Link(drop=lambda packet, _: packet[0] < 0x80 and packet[16:24] == b"00000005"))
    _, receiver = pair.connect()
    start = receiver.receiver.buffer.frontier
    identity = receiver.agreement.local_id.to_bytes(4, "big")
    for number in range(10):
        pair.send([payload(number)])
    pair.run(for_=30 * MILLI)
    body = (start + 5).to_bytes(4, "big") * 2
    for _ in range(1000):
        pair.arrive(CALLER, LISTENER, bytes.fromhex("8007000000000000" + "00000000") + identity + body)
    pair.run(for_=1 * SECOND)
    assert received(pair) == [n for n in range(10) if n != 5]
    assert receiver.counters.skipped == 1


def test_the_types_of_control_packets_on_the_wire_are_the_expected_ones() -> None:
    pair = Pair(forth=Link(loss=0.02), seed=2, caller=SrtOptions(latency=0.3))
    pair.connect()
    stream(pair, 500)
    kinds = {
        ControlType(packet[1]) for _, side, packet in pair.wire if side == LISTENER and packet[0] == 0x80
    }
    assert kinds >= {ControlType.HANDSHAKE, ControlType.ACK, ControlType.NAK}
    assert ControlType.ACKACK in {ControlType(p[1]) for _, s, p in pair.wire if s == CALLER and p[0] == 0x80}
