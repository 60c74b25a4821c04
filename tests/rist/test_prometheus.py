"""Prometheus text: what its own parser reads is what the snapshot says."""

from __future__ import annotations

import sys

import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families
from trio.testing import MockClock

import terzetto as tz
from terzetto.errors import MissingExtra
from terzetto.net.network import use_network
from terzetto.net.simulated import LinkConditions, SimulatedNetwork
from terzetto.rist.prometheus import prometheus_text
from terzetto.rist.statistics import RistReceiverStatistics, RistSenderStatistics


async def snapshots() -> tuple[RistSenderStatistics, RistReceiverStatistics]:
    network = SimulatedNetwork(1)
    alice, bob = network.add_host("alice"), network.add_host("bob")
    network.connect(alice, bob, LinkConditions(delay=0.01, loss=0.1))
    with use_network(bob):
        async with tz.open_rist_receiver("rist://@:5000", cname='the "studio"\\\n') as receiver:
            with use_network(alice):
                async with tz.open_rist_sender("rist://bob:5000", adaptation="ceiling:5000") as sender:
                    await sender.wait_connected()
                    for _ in range(200):
                        await sender.send_packet(bytes(200))
                        await trio.sleep(0.001)
                    await trio.sleep(1.5)
                    return sender.statistics(), receiver.statistics()


async def test_a_snapshot_is_read_as_it_was_taken(autojump_clock: MockClock) -> None:
    sender, receiver = await snapshots()
    text = prometheus_text(sender, receiver, labels={"site": "north"}).decode()
    samples = {
        sample.name: sample for family in text_string_to_metric_families(text) for sample in family.samples
    }
    assert samples["rist_sender_peer_sent_packets_total"].value == sender.sent == 200
    assert samples["rist_sender_peer_retransmitted_packets_total"].value == sender.retransmitted > 0
    assert samples["rist_sender_peer_rtt_seconds"].value == pytest.approx(sender.peer.round_trip)
    assert samples["rist_sender_peer_advised_bps"].value == sender.advised_bitrate
    assert samples["rist_client_flow_recovered_packets_total"].value == receiver.recovered > 0
    assert samples["rist_client_flow_lost_packets_total"].value == receiver.unrecovered
    assert samples["rist_client_flow_quality"].value == receiver.quality
    assert samples["rist_client_flow_peers"].value == 1
    for sample in samples.values():
        assert sample.labels["site"] == "north"
        assert sample.labels["flow_id"] == str(sender.flow_id)
    # The name is the peer's to choose, and gets no further than its label.
    assert samples["rist_sender_peer_sent_packets_total"].labels["cname"] == 'the "studio"\\\n'
    assert all(line.startswith(("#", "rist_")) for line in text.splitlines())


async def test_two_of_a_kind_share_their_names(autojump_clock: MockClock) -> None:
    sender, _ = await snapshots()
    text = prometheus_text(sender, sender).decode()
    assert text.count("# TYPE rist_sender_peer_sent_packets_total counter") == 1
    assert text.count("\nrist_sender_peer_sent_packets_total{") == 2


async def test_without_the_extra_it_says_which_one(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender, _ = await snapshots()
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(MissingExtra, match=r"terzetto\[metrics\]"):
        prometheus_text(sender)
