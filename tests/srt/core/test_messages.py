"""Messages of any length: whole or not at all, in order unless somebody asked otherwise, and only while they live."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.srt.core.connection import Connection
from terzetto.srt.core.messages import Assembler
from terzetto.srt.core.receive_buffer import Entry, ReceiveBuffer
from terzetto.srt.options import SrtOptions
from terzetto.srt.wire.control import ControlType
from tests.srt.core.pair import CALLER, LISTENER, MILLI, SECOND, Link, Pair

MESSAGES = SrtOptions(transmission_type="file", message_api=True)
SECRET = SrtOptions(
    transmission_type="file", message_api=True, passphrase="correct horse battery", key_refresh_rate=64
)


def messages_pair(**more: object) -> Pair:
    return Pair(caller=MESSAGES, listener=MESSAGES, **more)  # type: ignore[arg-type]


def send(
    pair: Pair, connection: Connection, message: bytes, *, ttl: int | None = None, in_order: bool = True
) -> bool:
    taken = connection.send_message(
        message, in_order=in_order, time_to_live=ttl, origin=pair.now, now=pair.now
    )
    pair.touch(CALLER)
    return taken


def of_length(count: int, *, seed: int = 4) -> list[bytes]:
    dice = random.Random(seed)
    return [dice.randbytes(dice.choice([1, 5, 1456, 1457, 2912, 20_000])) for _ in range(count)]


@pytest.mark.parametrize("options", [MESSAGES, SECRET])
@pytest.mark.parametrize("seed", range(10))
def test_whole_messages_arrive_once_and_in_order_whatever_is_lost(options: SrtOptions, seed: int) -> None:
    link = Link(delay=15 * MILLI, jitter=5 * MILLI, loss=0.1, duplicate=0.02)
    pair = Pair(caller=options, listener=options, seed=seed, forth=link, back=link)
    sender, receiver = pair.connect()
    sent = of_length(40, seed=seed)
    for message in sent:
        assert send(pair, sender, message)
    pair.run(for_=60 * SECOND, until=lambda: len(pair.messages[LISTENER]) == len(sent))
    assert [bytes(message.payload) for message in pair.messages[LISTENER]] == sent
    assert [message.number for message in pair.messages[LISTENER]] == list(range(1, 41))
    pair.run(for_=5 * SECOND, until=lambda: sender.sender.is_drained)
    assert receiver.counters.skipped == 0


def lose_first_copy_of(position: int) -> Link:
    """A link that loses one data packet once."""
    lost: list[bytes] = []

    def drop(packet: bytes, now: int) -> bool:
        is_it = not packet[0] & 0x80 and not packet[4] & 4 and not lost
        if is_it and int.from_bytes(packet[4:8], "big") & 0x3FFFFFF == position:
            lost.append(packet)
            return True
        return False

    return Link(delay=50 * MILLI, drop=drop)


@pytest.mark.parametrize("in_order", [True, False])
def test_a_message_that_is_free_of_order_overtakes_one_that_waits_for_a_repair(in_order: bool) -> None:
    pair = messages_pair(forth=lose_first_copy_of(2))
    sender, _ = pair.connect()
    for text in (b"one", b"two" * 1000, b"three"):
        send(pair, sender, text, in_order=in_order)
    pair.run(for_=70 * MILLI)
    early = [message.number for message in pair.messages[LISTENER]]
    assert early == ([1] if in_order else [1, 3])
    pair.run(for_=2 * SECOND)
    assert [m.number for m in pair.messages[LISTENER]] == ([1, 2, 3] if in_order else [1, 3, 2])
    assert {m.in_order for m in pair.messages[LISTENER]} == {in_order}
    assert sender.sender.is_drained


def test_a_message_whose_time_is_over_before_it_left_is_never_sent_and_holds_nobody_up() -> None:
    pair = Pair(
        caller=SrtOptions(transmission_type="file", message_api=True, max_bandwidth=150_000),
        listener=MESSAGES,
    )
    sender, receiver = pair.connect()
    send(pair, sender, bytes(150_000))
    send(pair, sender, b"stale" * 1000, ttl=100 * MILLI)
    send(pair, sender, b"fresh")
    pair.run(for_=10 * SECOND)
    assert [m.number for m in pair.messages[LISTENER]] == [1, 3]
    assert sender.counters.drop_requests_sent >= 1
    assert receiver.receiver.missing == 0
    assert sender.sender.is_drained
    assert not [data for _, _, data in pair.wire if b"stale" in data]


def test_a_message_whose_time_is_over_is_not_repeated_and_its_pieces_are_dropped() -> None:
    pair = messages_pair(forth=lose_first_copy_of(2))
    sender, receiver = pair.connect()
    send(pair, sender, b"one")
    send(pair, sender, b"two" * 2000, ttl=20 * MILLI)  # shorter than the way there and back
    send(pair, sender, b"three")
    pair.run(for_=10 * SECOND)
    assert [m.number for m in pair.messages[LISTENER]] == [1, 3]
    assert sender.sender.is_drained
    assert receiver.receiver.is_empty
    requests = [data for _, source, data in pair.wire if source == CALLER and data[:2] == b"\x80\x07"]
    assert {int.from_bytes(data[4:8], "big") for data in requests} == {2}


def test_a_message_longer_than_the_room_waits_for_all_of_it() -> None:
    options = SrtOptions(transmission_type="file", message_api=True, send_buffer=64 * 1472)
    pair = Pair(caller=options, listener=MESSAGES)
    sender, _ = pair.connect()
    assert send(pair, sender, bytes(1456 * 40))
    assert not send(pair, sender, bytes(1456 * 40))
    assert send(pair, sender, bytes(1456 * 24))


def test_the_peer_can_say_that_what_it_gets_is_of_no_use() -> None:
    pair = messages_pair()
    sender, receiver = pair.connect()
    receiver.report_error(4000, now=pair.now)
    pair.touch(LISTENER)
    pair.run(for_=SECOND)
    assert sender.peer_error == 4000
    assert [
        d
        for _, s, d in pair.wire
        if s == LISTENER and d[:2] == (0x8000 | ControlType.PEERERROR).to_bytes(2, "big")
    ]


def test_both_sides_must_mean_the_same() -> None:
    for listener, code in ((SrtOptions(), 14), (SrtOptions(transmission_type="file"), 12)):
        pair = Pair(caller=MESSAGES, listener=listener)
        pair.call()
        pair.run(for_=3 * SECOND, until=lambda pair=pair: pair.refused is not None)  # type: ignore[misc]
        assert pair.refused is not None
        assert pair.refused.code in (code, 13)


PACKETS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 7), st.integers(0, 3), st.booleans()), max_size=60
)


@given(PACKETS)
def test_no_packet_that_a_stranger_writes_upsets_the_assembler(
    packets: list[tuple[int, int, int, bool]],
) -> None:
    """Any numbers, any marks, any order: what comes out was marked and contiguous, and comes out once."""
    buffer = ReceiveBuffer(first=0, capacity=64)
    assembler = Assembler(buffer)
    seen: set[int] = set()
    taken: set[int] = set()
    for position, number, boundary, in_order in packets:
        if position in seen or position < buffer.frontier:
            continue
        seen.add(position)
        buffer.insert_ahead(Entry(0, position, 0, bytes([position])))
        assembler.arrived(position, boundary << 30 | (in_order << 29) | number)
        buffer.advance(buffer.frontier)
        for message in assembler.take(10):
            pieces = list(bytes(message.payload))
            assert pieces == list(range(pieces[0], pieces[0] + len(pieces)))
            assert not taken.intersection(pieces)
            taken.update(pieces)
        assert not assembler.is_ready
