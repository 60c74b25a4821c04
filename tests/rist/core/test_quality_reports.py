"""What a receiver reports of its link: each period on its own, without a gap between two."""

from __future__ import annotations

from terzetto.rist.adaptation import RistAdaptation
from terzetto.rist.core.counters import FlowCounters
from terzetto.rist.core.quality_reports import QualityReports
from terzetto.rist.core.rtcp_translation import compound_from_feedback, feedback_from_compound
from terzetto.rist.core.vocabulary import Description, Feedback, LinkQualityReport
from terzetto.rist.events import RateAdvised
from tests.rist.core.pair import Pair

ADAPTATION = RistAdaptation(period=1.0)


def test_nothing_is_reported_before_the_period_is_over_or_the_flow_began() -> None:
    reports = QualityReports(ADAPTATION, now=0)
    assert reports.report(FlowCounters(), buffer=0, now=999_999) is None
    assert reports.report(None, buffer=0, now=1_000_000) is None
    assert reports.next_report == 2_000_000


def test_each_period_counts_for_itself() -> None:
    reports = QualityReports(ADAPTATION, now=0)
    counters = FlowCounters()
    counters.received, counters.received_bytes = 108, 108 * 1316
    counters.received_retransmissions, counters.received_retransmitted_bytes = 8, 8 * 1316
    counters.missing, counters.reordered, counters.recovered, counters.unrecovered = 12, 2, 7, 3
    counters.too_late, counters.too_late_repeats = 5, 4
    reports.other_sources = 20
    first = reports.report(counters, buffer=500_000, now=1_000_000)
    assert first is not None
    assert (first.sequence, first.period_ms, first.nack_window_ms) == (1, 1000, 500)
    assert (first.source_received, first.original_lost, first.retransmitted_received) == (120, 10, 8)
    assert (first.recovered, first.unrecovered, first.late) == (7, 3, 1)
    assert first.data_kbps == round(100 * (1316 + 12) * 8 / 1000)
    assert first.retransmission_kbps == round(8 * (1316 + 12) * 8 / 1000)

    counters.received += 50
    counters.received_bytes += 50 * 1316
    late = reports.report(counters, buffer=500_000, now=2_500_000)
    assert late is not None
    assert (late.sequence, late.period_ms, late.source_received, late.original_lost) == (2, 1500, 50, 0)
    assert late.data_kbps == round(50 * (1316 + 12) * 8 / 1500)


def test_gaps_that_were_only_reordering_are_taken_back_from_later_losses() -> None:
    reports = QualityReports(ADAPTATION, now=0)
    counters = FlowCounters()
    counters.missing = 10
    first = reports.report(counters, buffer=0, now=1_000_000)
    counters.reordered = 4
    second = reports.report(counters, buffer=0, now=2_000_000)
    counters.missing += 6
    third = reports.report(counters, buffer=0, now=3_000_000)
    assert first
    assert second
    assert third
    assert [first.original_lost, second.original_lost, third.original_lost] == [10, 0, 2]


def test_the_message_travels_in_an_empty_receiver_report() -> None:
    reports = QualityReports(ADAPTATION, now=0)
    quality = reports.report(FlowCounters(), buffer=0, now=1_000_000)
    assert quality is not None
    said: list[Feedback] = [LinkQualityReport(5, quality), Description(5, "x")]
    compound = compound_from_feedback(said, nack_type="range")
    assert compound[:4] == b"\x80\xc9\x00\x0c"
    assert feedback_from_compound(compound, {}) == said  # type: ignore[arg-type]  # nothing is dropped


def test_a_sender_takes_the_advice_of_its_receiver() -> None:
    pair = Pair(adaptation="floor:500,ceiling:2000,start:1000,period:200")
    pair.connect()
    pair.stream(500, interval=2000)
    controller = pair.sender.outflow.rate_controller
    assert controller is not None
    assert controller.last is not None
    advised = [event for event in pair.sender_events if isinstance(event, RateAdvised)]
    assert [event.bitrate for event in advised[:3]] == [1_020_000, 1_040_000, 1_060_000]
    assert controller.rate == advised[-1].bitrate
    assert abs(controller.last.source_received - 100) < 6
    assert abs(controller.last.data_kbps - 500 * (32 + 12) * 8 // 1000) < 6


def test_losses_make_it_cut() -> None:
    pair = Pair(
        adaptation="floor:100,ceiling:2000,start:1000,period:200", drop=lambda count, _: count % 10 == 5
    )
    pair.connect()
    pair.stream(300, interval=2000)
    assert pair.sender.outflow.rate_controller is not None
    assert pair.sender.outflow.rate_controller.rate < 600_000


def test_a_sender_without_adaptation_makes_nothing_of_a_report() -> None:
    pair = Pair()
    pair.connect()
    quality = QualityReports(ADAPTATION, now=0).report(FlowCounters(), buffer=0, now=2_000_000)
    assert quality is not None
    pair.receiver.say([LinkQualityReport(pair.receiver.peer.ssrc, quality)])
    pair.run_until(pair.now + 100_000)
    assert pair.sender.outflow.rate_controller is None
    assert not [event for event in pair.sender_events if isinstance(event, RateAdvised)]
