"""Streams of bytes: every byte, in order, whatever is lost, and no end that pretends to be one."""

from __future__ import annotations

import hashlib
import random
from functools import partial

import pytest

from terzetto.srt.core.connection import Signal, State
from terzetto.srt.options import SrtOptions, with_knobs
from tests.srt.core.pair import CALLER, LISTENER, MILLI, SECOND, Link, Pair

FILE = SrtOptions(transmission_type="file")


def pieces(size: int) -> list[bytes]:
    data = random.Random(size).randbytes(size)
    return [data[start : start + 1456] for start in range(0, size, 1456)]


@pytest.mark.parametrize("loss", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("round_trip", [MILLI, 100 * MILLI, SECOND])
@pytest.mark.parametrize("passphrase", ["", "correct horse battery"])
def test_every_byte_arrives_whatever_is_lost(loss: float, round_trip: int, passphrase: str) -> None:
    options = with_knobs(FILE, {"passphrase": passphrase, "connect_timeout": 20.0})
    link = Link(delay=round_trip // 2, loss=loss, jitter=round_trip // 10)
    pair = Pair(caller=options, listener=options, forth=link, back=link, seed=int(loss * 100) + 1)
    pair.call()
    pair.run(for_=20 * SECOND, until=lambda: len(pair.connections) == 2)
    sender = pair.connections[CALLER]
    payloads = pieces(400_000)
    assert pair.send(payloads) == len(payloads)
    pair.run(for_=120 * SECOND, until=lambda: sender.sender.is_drained)
    got = b"".join(data for _, data in pair.delivered[LISTENER])
    assert hashlib.sha256(got).digest() == hashlib.sha256(b"".join(payloads)).digest()


def test_the_peer_that_repeats_no_reports_gets_everything_as_well() -> None:
    """libsrt's receiver asks once; when question or answer is lost, it is for the sender to notice."""
    silent = with_knobs(FILE, {"nak_report": False})
    link = Link(delay=20 * MILLI, loss=0.15)
    pair = Pair(caller=silent, listener=silent, forth=link, back=link, seed=3)
    sender, _ = pair.connect()
    payloads = pieces(600_000)
    pair.send(payloads)
    pair.run(for_=120 * SECOND, until=lambda: sender.sender.is_drained)
    assert b"".join(data for _, data in pair.delivered[LISTENER]) == b"".join(payloads)


def test_closing_lingers_until_everything_is_there() -> None:
    link = Link(delay=100 * MILLI, loss=0.1)
    pair = Pair(caller=FILE, listener=FILE, forth=link, back=Link(delay=100 * MILLI))
    sender, receiver = pair.connect()
    payloads = pieces(500_000)
    pair.send(payloads)
    sender.close(now=pair.now)
    pair.touch(CALLER)
    pair.run(for_=60 * SECOND, until=lambda: receiver.state is State.PEER_CLOSED)
    assert b"".join(data for _, data in pair.delivered[LISTENER]) == b"".join(payloads)
    assert not receiver.receiver.was_cut_short
    assert pair.events(LISTENER, Signal)[-1] is Signal.ENDED


def test_a_goodbye_before_everything_is_there_is_no_proper_end() -> None:
    def drop(packet: bytes, now: int) -> bool:
        return not packet[0] & 0x80 and int.from_bytes(packet[4:8], "big") & 0x3FFFFFF == 5

    pair = Pair(caller=FILE, listener=FILE, forth=Link(drop=drop))
    sender, receiver = pair.connect()
    pair.send(pieces(14_560))
    pair.run(for_=SECOND)
    sender.abort(now=pair.now)
    pair.touch(CALLER)
    pair.run(for_=SECOND)
    assert len(pair.delivered[LISTENER]) == 4
    assert receiver.receiver.was_cut_short


def test_a_reader_that_does_not_read_stops_the_sender_and_reading_starts_it_again() -> None:
    small = with_knobs(FILE, {"receive_buffer": 40 * 1472, "flow_window": 64})
    pair = Pair(caller=FILE, listener=small)
    sender, receiver = pair.connect()
    pair._read = lambda side: None  # type: ignore[method-assign]
    payloads = pieces(300_000)
    pair.send(payloads)
    pair.run(for_=3 * SECOND)
    assert len(receiver.receiver.buffer.line) <= 40
    assert sender.sender.buffer.in_flight <= 64
    got: list[bytes] = []
    for _ in range(2000):
        got += [bytes(entry[3]) for entry in receiver.take(now=pair.now, limit=64)]
        pair.touch(LISTENER)
        pair.run(for_=20 * MILLI)
    assert b"".join(got) == b"".join(payloads)
    assert receiver.counters.no_room == 0


def test_a_sender_that_never_falls_silent_repeats_what_was_asked_for_in_vain() -> None:
    """Without periodic reports the peer asks once; where that is lost, only the lack of acknowledgements tells."""
    options = SrtOptions(transmission_type="file")
    options = SrtOptions(transmission_type="file", nak_report=False)
    seen = 0

    def lose_third(packet: bytes, now: int) -> bool:
        nonlocal seen
        seen += not packet[0] & 0x80
        return not packet[0] & 0x80 and seen == 3

    def lose_reports(packet: bytes, now: int) -> bool:
        return packet[:2] == b"\x80\x03"

    pair = Pair(caller=options, listener=options, forth=Link(drop=lose_third), back=Link(drop=lose_reports))
    pair.connect()
    sent = [b"%05d" % number for number in range(400)]
    for number, payload in enumerate(sent):
        pair.at(pair.now + number * 5 * MILLI, partial(pair.send, [payload]))
    pair.run(for_=1 * SECOND)
    assert len(pair.delivered[LISTENER]) > 100, "long before the sender is through"
    pair.run(for_=4 * SECOND)
    assert [payload for _, payload in pair.delivered[LISTENER]] == sent
