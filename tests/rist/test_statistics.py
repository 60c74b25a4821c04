"""Snapshots: what is counted, and the words for it."""

from __future__ import annotations

import json

import attrs
import pytest

from terzetto.rist.snapshots import receiver_statistics, sender_statistics
from terzetto.rist.statistics import RistReceiverStatistics, RistSenderStatistics
from tests.rist.core.pair import Pair


@pytest.fixture(scope="module")
def played() -> tuple[RistSenderStatistics, RistReceiverStatistics]:
    """Both ends after two seconds in which every tenth packet is lost, and three of them for good."""

    def drop(count: int, datagram: object) -> bool:
        number = int.from_bytes(bytes(datagram)[2:4], "big")  # type: ignore[call-overload]
        return count % 10 == 0 or number in (500, 501, 502)

    pair = Pair(buffer_min=0.3, buffer_max=0.3, drop=drop, cname="played")
    pair.connect()
    pair.stream(2000)
    pair.run_until(pair.now + 500_000)
    return (
        sender_statistics(pair.sender.outflow, now=pair.now, batches_shed=0),
        receiver_statistics(pair.receiver.inflow, now=pair.now, shed=0),
    )


Played = tuple[RistSenderStatistics, RistReceiverStatistics]


def test_what_was_lost_was_recovered_or_was_not(played: Played) -> None:
    _, receiver = played
    assert receiver.lost == receiver.recovered + receiver.unrecovered
    assert receiver.unrecovered == 3
    assert receiver.recovered > 150
    assert sum(receiver.recovered_after) == receiver.recovered
    assert receiver.delivered + receiver.unrecovered == 2000


def test_both_ends_tell_the_same_story(played: Played) -> None:
    sender, receiver = played
    assert sender.sent == 2000
    assert sender.sent_bytes == 2000 * 32
    assert sender.requested == receiver.requests
    assert sender.retransmitted >= receiver.received_retransmissions >= receiver.recovered
    assert sender.flow_id == receiver.flow_id
    assert sender.peer.round_trip == pytest.approx(receiver.peer.round_trip, abs=0.001)
    assert sender.peer.cname == receiver.peer.cname == "played"
    assert sender.peer.feedback_received <= receiver.peer.feedback_sent


def test_quality_is_a_percentage(played: Played) -> None:
    sender, receiver = played
    assert sender.quality == pytest.approx(100 * sender.sent / (sender.sent + sender.retransmitted))
    assert receiver.quality == pytest.approx(100 * 1997 / 2000)


@pytest.mark.parametrize("side", [0, 1])
def test_our_words_are_the_fields_and_go_through_json(played: Played, side: int) -> None:
    snapshot = played[side]
    told = snapshot.as_dict()
    assert set(told) == {field.name for field in attrs.fields(type(snapshot))} | {"quality"}
    assert json.loads(json.dumps(told)) == told


def test_librists_words_for_a_sender(played: Played) -> None:
    sender, _ = played
    told = json.loads(json.dumps(sender.as_librist()))
    assert set(told) == {"sender-stats"}
    peer = told["sender-stats"]["peer"]
    assert list(peer) == ["flow_id", "id", "cname", "type", "stats"]
    assert list(peer["stats"]) == [
        *("quality", "sent", "received", "retransmitted", "bandwidth", "retry_bandwidth"),
        *("bandwidth_skipped", "bloat_skipped", "retransmit_skipped", "rtt", "avg_rtt"),
        *("retry_buffer_size", "cooldown_time"),
    ]
    assert peer["stats"]["sent"] == 2000
    assert peer["stats"]["avg_rtt"] == pytest.approx(20, abs=1)


def test_librists_words_for_a_receiver(played: Played) -> None:
    _, receiver = played
    told = json.loads(json.dumps(receiver.as_librist()))
    assert set(told) == {"receiver-stats", "flow_cumulative_stats"}
    flow = told["receiver-stats"]["flowinstant"]
    assert list(flow) == ["flow_id", "dead", "stats", "peers"]
    assert list(flow["stats"]) == [
        *("quality", "received", "dropped_late", "dropped_full", "missing", "recovered_total", "reordered"),
        *("retries", "recovered_one_nack", "recovered_two_nacks", "recovered_three_nacks"),
        *("recovered_four_nacks", "recovered_more_nacks", "lost", "avg_buffer_time", "duplicates"),
        *("missing_queue", "missing_queue_max", "min_inter_packet_spacing", "cur_inter_packet_spacing"),
        *("max_inter_packet_spacing", "bitrate"),
    ]
    [peer] = flow["peers"]
    assert list(peer) == ["id", "dead", "stats"]
    assert list(peer["stats"]) == [
        *("received_data", "received_rtcp", "sent_rtcp", "rtt", "avg_rtt", "bitrate", "avg_bitrate")
    ]
    assert list(told["flow_cumulative_stats"]) == ["flow_id", "received", "recovered", "lost"]
    assert flow["stats"]["lost"] == told["flow_cumulative_stats"]["lost"] == 3
    assert flow["stats"]["recovered_total"] == receiver.recovered
    assert flow["stats"]["missing_queue_max"] == 1071
    assert flow["stats"]["avg_buffer_time"] == pytest.approx(300, abs=10)
    assert flow["stats"]["min_inter_packet_spacing"] <= flow["stats"]["max_inter_packet_spacing"]


def test_before_anything_happened_there_is_nothing_to_divide_by() -> None:
    pair = Pair()
    sender = sender_statistics(pair.sender.outflow, now=0, batches_shed=0)
    receiver = receiver_statistics(pair.receiver.inflow, now=0, shed=0)
    assert (sender.quality, receiver.quality) == (100.0, 100.0)
    assert receiver.flow_id is None
    json.dumps([sender.as_dict(), receiver.as_dict(), sender.as_librist(), receiver.as_librist()])
