from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from terzetto.rtp.ntp import ntp_from_unix
from terzetto.rtp.sender_report import SenderReport
from terzetto.rtsp.core.packet_receiver import SourceReceiver

PATIENCE = 100_000


def receiver(window: int = 64) -> SourceReceiver:
    return SourceReceiver(1, 90_000, window=window, patience=PATIENCE)


def feed(source: SourceReceiver, *sequences: int, now: int = 0) -> list[int]:
    """The sequence numbers delivered, as on the wire."""
    return [
        arrival.sequence & 0xFFFF
        for sequence in sequences
        for arrival in source.handle(sequence & 0xFFFF, 0, 0, b"", now=now, counts_for_jitter=True)
    ]


def test_packets_in_order_pass_at_once_and_across_the_wrap() -> None:
    source = receiver()
    assert feed(source, 65534, 65535, 0, 1) == [65534, 65535, 0, 1]
    assert source.highest_sequence == 65537


def test_an_early_packet_waits_for_the_one_before() -> None:
    source = receiver()
    assert feed(source, 1, 3, 4) == [1]
    assert feed(source, 2) == [2, 3, 4]
    assert source.lost == 0


def test_what_is_missing_is_waited_for_so_long_only() -> None:
    source = receiver()
    feed(source, 1)
    feed(source, 3, now=1000)
    assert source.next_timeout() == 1000 + PATIENCE
    assert source.handle_timeout(now=1000 + PATIENCE - 1) == []
    [arrival] = source.handle_timeout(now=1000 + PATIENCE)
    assert (arrival.sequence, arrival.lost_before, source.lost) == (3, 1, 1)
    assert source.next_timeout() is None


def test_late_and_double_packets_are_dropped_and_counted() -> None:
    source = receiver()
    assert feed(source, 5, 5, 4, 7, 7, 6) == [5, 6, 7]
    assert source.late_or_duplicate == 3


def test_too_many_waiting_packets_are_released() -> None:
    source = receiver(window=4)
    assert feed(source, 0, 2, 3, 4, 5) == [0, 2, 3, 4, 5]
    assert source.lost == 1


def test_a_source_that_counts_anew_is_followed_without_loss() -> None:
    for start in (5, 40_000):
        source = receiver()
        feed(source, 30_000)
        assert feed(source, start) == [start]
        assert feed(source, start + 1) == [start + 1]
        assert source.lost == 0


def test_a_small_step_back_is_followed_once_it_is_not_mere_lateness() -> None:
    source = receiver()
    feed(source, 1000)
    delivered = feed(source, *range(500, 600))
    assert delivered[-1] == 599
    assert source.lost == 0


def test_over_tcp_nothing_waits_and_gaps_are_losses() -> None:
    source = receiver(window=0)
    assert feed(source, 1, 4, 5) == [1, 4, 5]
    assert source.lost == 2
    assert feed(source, 5) == []
    assert source.lost == 2


@given(st.permutations(range(40)), st.sets(st.integers(1, 39), max_size=10), st.integers(0, 65535))
def test_nothing_comes_twice_or_out_of_order_and_every_number_is_accounted_for(
    order: list[int], missing: set[int], offset: int
) -> None:
    source = receiver(window=64)
    first = feed(source, offset)
    delivered = feed(source, *(offset + 1 + number for number in order if number not in missing))
    released = [arrival.sequence & 0xFFFF for arrival in source.handle_timeout(now=PATIENCE)]
    while (due := source.next_timeout()) is not None:
        released += [arrival.sequence & 0xFFFF for arrival in source.handle_timeout(now=due)]
    got = [(sequence - offset) & 0xFFFF for sequence in first + delivered + released]
    assert got == sorted(set(got))
    assert len(got) + source.lost == max(got) + 1


def test_a_report_tells_losses_of_the_interval_and_of_all_time() -> None:
    source = receiver(window=0)
    feed(source, 0, 1, 2, 5, 6, 7)
    block = source.report_block(now=0)
    assert (block.fraction_lost, block.cumulative_lost) == (2 * 256 // 8, 2)
    assert block.extended_highest_sequence == 7
    feed(source, 8)
    assert source.report_block(now=0).fraction_lost == 0


def test_duplicates_make_a_negative_loss_as_the_rfc_says() -> None:
    source = receiver()
    feed(source, 0, 0, 0)
    assert source.report_block(now=0).cumulative_lost == -2


def test_a_report_echoes_the_last_sender_report() -> None:
    source = receiver()
    feed(source, 0)
    assert source.report_block(now=0).last_sr == 0
    ntp = ntp_from_unix(1_700_000_000_000_000)
    source.handle_sender_report(SenderReport(ssrc=1, ntp=ntp, rtp_timestamp=0), now=1_000_000)
    block = source.report_block(now=3_000_000)
    assert block.last_sr == ntp >> 16 & 0xFFFFFFFF
    assert block.delay_since_last_sr == 2 * 65536
