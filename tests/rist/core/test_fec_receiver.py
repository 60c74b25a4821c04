from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.primitives.datagrams import Address, Run
from terzetto.rist.core.fec_receiver import FecReceiver
from terzetto.rist.core.fec_sender import FecSender
from terzetto.rist.core.profile import FEC_ROW
from terzetto.rist.core.vocabulary import Media
from terzetto.rist.fec import FecStandard, RistFec
from tests.rist.core.pair import Pair

MILLI = 1000


def play(
    fec: RistFec, receiver: FecReceiver, lost: set[int], *, count: int = 300, first: int = 0
) -> tuple[dict[int, Media], dict[int, Media]]:
    """Send a stream without the *lost*; what was sent and what was rebuilt, by the number in the stream."""
    source = random.Random(1)
    sender = FecSender(fec, payload_type=33)
    sent: dict[int, Media] = {}
    rebuilt: dict[int, Media] = {}
    for number in range(count):
        payload = source.randbytes(source.randrange(1, 80))
        media = (first + number & 0xFFFF, 90 * number, payload, False)
        sent[number] = media
        now = number * MILLI
        found = receiver.hear_media([media], now=now) if number not in lost else []
        for _, datagrams in sender.feed([payload], first=first + number, timestamp=90 * number):
            found += receiver.hear_parities(datagrams, now=now)
        for each in found:
            rebuilt[(each[0] - first) & 0xFFFF] = each
    return sent, rebuilt


@pytest.mark.parametrize("standard", ["2022-1", "2022-5"])
@pytest.mark.parametrize("first", [0, 0xFFA0, 0x1_FF80])
def test_lost_packets_come_back_whole_across_every_wrap(first: int, standard: FecStandard) -> None:
    lost = {50, 51, 52, 53, 120, 133, 200}
    sent, rebuilt = play(
        RistFec(standard=standard),
        FecReceiver(RistFec(standard=standard), sequence_bits=16),
        lost,
        first=first,
    )
    assert rebuilt == {number: sent[number] for number in lost}


def test_a_large_matrix_is_remembered_as_a_whole() -> None:
    fec = RistFec(columns=40, rows=30, standard="2022-5")
    lost = set(range(100, 140)) | {1190}
    sent, rebuilt = play(fec, FecReceiver(fec, sequence_bits=16), lost, count=3000)
    assert rebuilt == {number: sent[number] for number in lost}


def test_patience_is_the_lag_of_the_slowest_parities() -> None:
    receiver = FecReceiver(RistFec(), sequence_bits=16)
    assert receiver.patience(0, most=MILLI * 1000) == 0
    play(RistFec(columns=10, rows=5), receiver, set())
    # A packet stands in a column of fifty milliseconds, whose parity leaves during the next fifty.
    patience = receiver.patience(300 * MILLI, most=MILLI * 1000)
    assert 80 * MILLI <= patience <= 150 * MILLI
    assert receiver.patience(300 * MILLI, most=MILLI * 60) == 60 * MILLI
    assert receiver.patience(5_000 * MILLI, most=MILLI * 1000) == 0, "no parities come any more"


def test_what_is_no_parity_is_dropped_and_counted() -> None:
    receiver = FecReceiver(RistFec(), sequence_bits=16)
    assert receiver.hear_parities([b"", b"\x80\x60" + bytes(10), b"\x80\x60" + bytes(26)], now=0) == []
    assert sum(receiver.dropped.values()) == 3


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_strangers_bytes_rebuild_nothing_beyond_the_stream(datagrams: list[bytes]) -> None:
    receiver = FecReceiver(RistFec(), sequence_bits=16)
    receiver.hear_media([(number, 0, b"payload", False) for number in range(10)], now=0)
    header = bytes.fromhex("806000000000000000000000")
    for sequence, *_ in receiver.hear_parities([header + each for each in datagrams], now=0):
        assert (9 - sequence) & 0xFFFF < 0x8000


def test_a_flow_that_begins_anew_is_not_mixed_with_the_one_before() -> None:
    receiver = FecReceiver(RistFec(), sequence_bits=16)
    play(RistFec(), receiver, set(), first=40_000)
    receiver.reset()
    sent, rebuilt = play(RistFec(), receiver, {60, 61}, first=100)
    assert rebuilt == {number: sent[number] for number in (60, 61)}


def test_parities_mend_a_flow_between_two_cores_without_a_request() -> None:
    dropped = {200, 201, 202, 203}
    pair = Pair(fec="cols:10,rows:5", drop=lambda count, _: count in dropped)
    pair.connect()
    sent = pair.stream(500)
    pair.run_until(pair.now + 2_000_000)
    assert [packet.payload for packet in pair.delivered] == sent
    assert pair.receiver.flow is not None
    counters = pair.receiver.flow.counters
    assert counters.fec_recovered == counters.recovered == 4
    assert counters.requests == 0
    assert counters.recovered_after == [0, 0, 0, 0, 0]


def test_parities_from_elsewhere_are_not_heard() -> None:
    pair = Pair(fec="cols:10,rows:5")
    pair.connect()
    pair.stream(100)
    assert pair.receiver.fec is not None
    before = pair.receiver.fec.received
    pair.receiver.handle_datagrams([Run(Address("198.51.100.9", 7), [bytes(40)], FEC_ROW)], now=pair.now)
    assert pair.receiver.fec.received == before
