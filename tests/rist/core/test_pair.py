"""The whole of RIST Simple between two cores: what users are promised, without a network in between."""

from __future__ import annotations

import random

import pytest

from terzetto.primitives.datagrams import Address, Buffer, Run
from terzetto.rist.core.simple import SimpleTranslator
from terzetto.rist.events import FlowRestarted, PeerConnected, PeerLost, PeerMoved, StrangerIgnored
from tests.rist.core.pair import RECEIVER, SENDER, Pair


def payloads_of(pair: Pair) -> list[bytes]:
    return [packet.payload for packet in pair.delivered]


def test_what_is_sent_arrives_once_in_order_one_buffer_later() -> None:
    pair = Pair(buffer_min=0.2, buffer_max=0.2)
    pair.connect()
    started = pair.now
    sent = pair.stream(100)
    pair.run_until(pair.now + 1_000_000)
    assert payloads_of(pair) == sent
    assert pair.delivered_at[0] == pytest.approx(started + 10_000 + 200_000, abs=100)
    assert all(packet.lost_before == 0 for packet in pair.delivered)


def test_both_ends_measure_the_round_trip_by_echo() -> None:
    pair = Pair(delay=30_000)
    pair.connect()
    assert pair.sender.peer.round_trip.smoothed == pytest.approx(60_000, abs=1000)
    pair.stream(10)
    pair.run_until(pair.now + 500_000)
    assert pair.receiver.peer.round_trip.smoothed == pytest.approx(60_000, abs=1000)


@pytest.mark.parametrize("nack_type", ["range", "bitmask"])
def test_every_tenth_packet_lost_is_recovered(nack_type: str) -> None:
    pair = Pair(buffer_min=0.3, buffer_max=0.3, drop=lambda n, _: n % 10 == 0, nack_type=nack_type)
    pair.connect()
    sent = pair.stream(500)
    pair.run_until(pair.now + 1_000_000)
    assert payloads_of(pair) == sent
    flow = pair.receiver.flow
    assert flow is not None
    assert flow.counters.recovered >= 45
    assert flow.counters.unrecovered == 0
    assert flow.counters.lost == flow.counters.recovered


def test_the_first_and_the_last_packet_are_recovered_too() -> None:
    def first_and_last(count: int, datagram: Buffer) -> bool:
        return count in (1, 2, 3, 50)

    pair = Pair(buffer_min=0.3, buffer_max=0.3, drop=first_and_last)
    pair.connect()
    sent = pair.stream(50)
    pair.run_until(pair.now + 1_000_000)
    assert payloads_of(pair) == sent


@pytest.mark.parametrize("seed", range(20))
def test_random_loss_both_ways_is_mended_within_the_buffer(seed: int) -> None:
    chance = random.Random(seed)
    pair = Pair(
        buffer_min=1.0,
        buffer_max=1.0,
        drop=lambda *_: chance.random() < 0.2,
        drop_feedback=lambda *_: chance.random() < 0.2,
    )
    pair.run_until(1_000_000)
    sent = pair.stream(400, interval=2000)
    pair.run_until(pair.now + 3_000_000)
    assert payloads_of(pair) == sent


def test_what_cannot_be_saved_is_skipped_on_time_and_marked() -> None:
    hopeless = {100, 101, 102}

    def drop(_count: int, datagram: Buffer) -> bool:
        return int.from_bytes(datagram[2:4], "big") in hopeless

    pair = Pair(buffer_min=0.2, buffer_max=0.2, drop=drop)
    pair.connect()
    start = pair.now
    sent = pair.stream(200)
    pair.run_until(pair.now + 1_000_000)
    assert payloads_of(pair) == [payload for n, payload in enumerate(sent) if n not in hopeless]
    after_the_hole = pair.delivered[100]
    assert after_the_hole.sequence == 103
    assert after_the_hole.lost_before == 3
    assert pair.delivered_at[100] == pytest.approx(start + 103 * 1000 + 210_000, abs=1000)
    flow = pair.receiver.flow
    assert flow is not None
    assert flow.counters.unrecovered == 3


def test_sequence_numbers_wrap_without_a_trace() -> None:
    pair = Pair(buffer_min=0.1, buffer_max=0.1, drop=lambda n, _: n % 50 == 0)
    pair.sender.history.next_sequence = 65_400
    pair.sender.history._oldest = 65_400
    pair.connect()
    sent = pair.stream(400)
    pair.run_until(pair.now + 1_000_000)
    assert payloads_of(pair) == sent
    assert [packet.sequence for packet in pair.delivered] == list(range(65_400, 65_800))


def test_timestamps_wrap_without_a_trace() -> None:
    # RTP time is wall time at 90 kHz: choose a wall clock half a second before the wrap.
    wrap = (1 << 32) * 1_000_000 // 90_000
    pair = Pair(
        buffer_min=0.1,
        buffer_max=0.1,
        wall_clock_offset=wrap * 36_000 - 500_000,
        drop=lambda n, _: n % 10 == 0,
    )
    pair.connect()
    sent = pair.stream(600)
    pair.run_until(pair.now + 1_000_000)
    assert payloads_of(pair) == sent
    assert pair.receiver.flow is not None
    assert pair.receiver.flow.counters.clock_resyncs == 0


def test_a_restarted_sender_begins_a_new_flow() -> None:
    pair = Pair(buffer_min=0.1, buffer_max=0.1)
    pair.connect()
    first = pair.stream(50)
    pair.run_until(pair.now + 1_500_000)
    pair.sender = pair.make_sender(0x2222_2222)
    pair.sender_address = Address(SENDER.host, 7000)
    pair.run_until(pair.now + 1_000_000)
    second = pair.stream(50, start=1000)
    pair.run_until(pair.now + 1_000_000)
    assert payloads_of(pair) == first + second
    assert any(isinstance(event, FlowRestarted) for event in pair.events)


def test_a_flow_that_counts_anew_under_its_old_number_is_followed() -> None:
    pair = Pair(buffer_min=0.1, buffer_max=0.1)
    pair.sender.history.next_sequence = 30_000
    pair.sender.history._oldest = 30_000
    pair.connect()
    pair.stream(50)
    pair.sender.history._packets.clear()
    pair.sender.history.next_sequence = pair.sender.history._oldest = 0
    second = pair.stream(100, start=1000)
    pair.run_until(pair.now + 1_000_000)
    arrived = payloads_of(pair)
    # A few packets prove the restart; what follows them is whole.
    assert arrived[-95:] == second[-95:]
    assert pair.receiver.flow is not None
    assert pair.receiver.flow.counters.unrecovered == 0


def test_a_silent_peer_is_lost_after_the_session_timeout_and_returns() -> None:
    pair = Pair(session_timeout=1.0)
    pair.connect()
    pair.stream(5)
    cut = pair.now
    pair.drop = pair.drop_feedback = lambda *_: True
    pair.run_until(cut + 3_000_000)
    assert [type(event) for event in pair.sender_events] == [PeerConnected, PeerLost]
    assert not pair.receiver.peer.is_connected
    pair.drop = pair.drop_feedback = None
    pair.run_until(pair.now + 500_000)
    sent = pair.stream(5, start=100)
    pair.run_until(pair.now + 2_000_000)
    assert payloads_of(pair)[-5:] == sent


def test_a_rebound_sender_is_followed_and_nothing_is_lost() -> None:
    pair = Pair(buffer_min=1.0, buffer_max=1.0)
    pair.connect()
    sent = pair.stream(300)
    pair.sender_address = Address(SENDER.host, 9000)
    sent += pair.stream(1000, start=300)
    pair.run_until(pair.now + 2_000_000)
    assert payloads_of(pair) == sent
    assert any(isinstance(event, PeerMoved) for event in pair.events)


def test_a_stranger_neither_injects_media_nor_moves_feedback() -> None:
    pair = Pair(buffer_min=0.1, buffer_max=0.1)
    pair.connect()
    sent = pair.stream(50)
    stranger = Address("198.51.100.9", 6000)
    forged = SimpleTranslator(payload_type=33, nack_type="range").encode_media(
        [b"forged"], first_sequence=50, timestamp=0, flow_id=0x1234_5678
    )
    pair.receiver.handle_datagrams([Run(stranger, forged, 0)], now=pair.now)
    reports = pair.receiver.translator.encode_feedback(pair.sender.peer.preamble())
    pair.receiver.handle_datagrams([Run(Address(stranger.host, 6001), reports, 1)], now=pair.now)
    pair.drain()
    sent += pair.stream(50, start=50)
    pair.run_until(pair.now + 1_000_000)
    assert payloads_of(pair) == sent
    assert sum(isinstance(event, StrangerIgnored) for event in pair.events) == 2


def test_one_way_needs_no_answer_and_asks_for_nothing() -> None:
    pair = Pair(one_way=True, buffer_min=0.1, buffer_max=0.1, drop=lambda n, _: n == 5)
    sent = pair.stream(20)
    pair.run_until(pair.now + 1_000_000)
    assert payloads_of(pair) == sent[:4] + sent[5:]
    assert len(pair.sender.history) == 0
    assert pair.receiver.peer.counters.feedback_sent == 0
    assert pair.sender.peer.counters.feedback_sent == 0


def test_media_before_the_handshake_is_withheld_and_counted() -> None:
    pair = Pair()
    pair.sender.send([b"too early"], now=0)
    assert pair.sender.counters.withheld == 1
    assert pair.sender.poll_transmits() == []


def test_reports_beat_every_hundred_milliseconds() -> None:
    pair = Pair()
    pair.connect()
    before = pair.sender.peer.counters.feedback_received
    pair.run_until(pair.now + 10_000_000)
    assert 95 <= pair.sender.peer.counters.feedback_received - before <= 310
    assert RECEIVER.port % 2 == 0
