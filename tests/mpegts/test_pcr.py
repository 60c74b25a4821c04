from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.mpegts.generator import DATA_PID, PCR_PID, TsGenerator
from terzetto.mpegts.packet import PACKET_SIZE, null_packet, pack_pcr_packet, read_pid
from terzetto.mpegts.pcr import PCR_WRAP, PcrPacer, TimedPayload, find_pcrs

RATE = 4_000_000


def pace(pacer: PcrPacer, data: bytes, feed: int = 64 * PACKET_SIZE) -> list[TimedPayload]:
    timed = []
    for start in range(0, len(data), feed):
        timed += pacer.feed(data[start : start + feed])
    return timed + pacer.finish()


def joined(timed: list[TimedPayload]) -> bytes:
    return b"".join(payload for _, payload in timed)


def clocked(pcrs: list[int | None], *, pid: int = 256, flagged: frozenset[int] = frozenset()) -> bytes:
    """One clock packet for each number, nine null packets after each; None stands for ten null packets."""
    packets = []
    for index, pcr in enumerate(pcrs):
        first = null_packet() if pcr is None else pack_pcr_packet(pid, 0, pcr, discontinuity=index in flagged)
        packets += [first, *[null_packet()] * 9]
    return b"".join(packets)


def test_references_are_found_where_they_are() -> None:
    data = clocked([0, 27_000, None, 54_000])
    assert [(mark.offset // PACKET_SIZE, mark.pcr) for mark in find_pcrs(data)] == [
        (0, 0),
        (10, 27_000),
        (30, 54_000),
    ]


def test_broken_packets_have_no_reference() -> None:
    too_long, too_short, in_error = (
        bytes.fromhex(start).ljust(PACKET_SIZE, b"\x00")
        for start in ("470100 30 b7 10", "470100 30 06 10", "478100 30 07 10")
    )
    sound = pack_pcr_packet(256, 0, 5)
    assert [mark.offset // PACKET_SIZE for mark in find_pcrs(too_long + too_short + in_error + sound)] == [3]


@given(st.binary(max_size=30))
def test_a_strange_adaptation_field_has_a_reference_in_range_or_none(data: bytes) -> None:
    for mark in find_pcrs((b"\x47\x01\x00\x30" + data).ljust(PACKET_SIZE, b"\x00")):
        assert (mark.offset, mark.pid) == (0, 256)
        # 33 bits of base, and an extension whose nine bits may say more than the 299 they should.
        assert 0 <= mark.pcr < PCR_WRAP + 512


@pytest.mark.parametrize("feed", [PACKET_SIZE, 5 * PACKET_SIZE, 10_000 * PACKET_SIZE])
def test_a_constant_rate_is_reproduced_to_the_microsecond(feed: int) -> None:
    generator = TsGenerator(RATE, seed=1, data_bitrate=RATE // 2)
    data = generator.take(3_000)
    pacer = PcrPacer()
    timed = pace(pacer, data, feed)
    assert joined(timed) == data
    assert all(abs(due - generator.due(7 * index)) <= 1 for index, (due, _) in enumerate(timed))
    assert [len(payload) for _, payload in timed[:-1]] == [1316] * (len(timed) - 1)
    assert pacer.bitrate == pytest.approx(RATE, rel=1e-4)
    assert pacer.discontinuities == 0


def test_what_comes_before_the_first_reference_is_timed_by_the_rate_after_it() -> None:
    # Ten packets each take 1 ms; the first reference is in the 31st packet.
    timed = pace(
        PcrPacer(payload_size=10 * PACKET_SIZE), clocked([None, None, None, 5_000_000, 5_027_000, 5_054_000])
    )
    assert [due for due, _ in timed] == [0, 1_000, 2_000, 3_000, 4_000, 5_000]


def test_the_clock_may_wrap() -> None:
    clock = [(PCR_WRAP - 54_000 + 27_000 * step) % PCR_WRAP for step in range(6)]
    pacer = PcrPacer(payload_size=10 * PACKET_SIZE)
    assert [due for due, _ in pace(pacer, clocked([*clock]))] == [0, 1_000, 2_000, 3_000, 4_000, 5_000]
    assert pacer.discontinuities == 0


@pytest.mark.parametrize("restart", [0, 10_000_000_000, 27_000])
def test_a_jump_of_the_clock_goes_on_at_the_last_rate(restart: int) -> None:
    clock: list[int | None] = [0, 27_000, 54_000, restart, restart + 54_000, restart + 108_000]
    pacer = PcrPacer(payload_size=10 * PACKET_SIZE)
    timed = pace(pacer, clocked(clock))
    assert [due for due, _ in timed] == [0, 1_000, 2_000, 3_000, 5_000, 7_000]
    assert pacer.discontinuities == 1


def test_a_flagged_discontinuity_is_one_even_where_the_step_looks_fair() -> None:
    pacer = PcrPacer(payload_size=10 * PACKET_SIZE)
    timed = pace(pacer, clocked([0, 27_000, 67_000, 94_000], flagged=frozenset({2})))
    assert [due for due, _ in timed] == [0, 1_000, 2_000, 3_000]
    assert pacer.discontinuities == 1


def test_other_clocks_of_the_stream_are_not_followed() -> None:
    mixed = b"".join(
        pack_pcr_packet(256, 0, 27_000 * step) + pack_pcr_packet(512, 0, 999_999 * step) for step in range(5)
    )
    pacer = PcrPacer(payload_size=2 * PACKET_SIZE)
    assert [due for due, _ in pace(pacer, mixed)] == [0, 1_000, 2_000, 3_000, 4_000]
    assert pacer.discontinuities == 0


def test_a_stream_without_a_clock_leaves_at_the_fallback_rate() -> None:
    pacer = PcrPacer(fallback_bitrate=188 * 8 * 1_000)
    timed = pace(pacer, null_packet() * 15)
    assert [due for due, _ in timed] == [0, 7_000, 14_000]
    assert len(timed[-1].payload) == PACKET_SIZE
    assert pacer.bitrate is None


def test_a_clock_that_goes_away_holds_nothing_back_for_long_and_may_return_on_another_pid() -> None:
    # 10 packets a millisecond are 188 kB in 100 ms; a second of it is waited for.
    pacer = PcrPacer(payload_size=10 * PACKET_SIZE)
    timed = pacer.feed(clocked([0, 27_000, 54_000]))
    for _ in range(2_000):
        timed += pacer.feed(null_packet() * 10)
    assert len(timed) > 1_000
    timed += pacer.feed(clocked([1_000_000, 1_054_000, 1_108_000], pid=777)) + pacer.finish()
    dues = [due for due, _ in timed]
    assert dues[:2003] == list(range(0, 2_003_000, 1_000))
    assert dues[2003:] == [2_003_000, 2_005_000, 2_007_000]


def test_a_looped_file_keeps_time() -> None:
    loop = TsGenerator(RATE, seed=1).take(600)
    pacer = PcrPacer()
    timed = pace(pacer, loop * 3)
    assert joined(timed) == loop * 3
    assert pacer.discontinuities == 2
    whole = 1800 * PACKET_SIZE * 8 * 1_000_000 // RATE
    assert timed[-1].due == pytest.approx(whole, abs=4_000)


@given(
    st.lists(st.none() | st.integers(0, PCR_WRAP - 1) | st.integers(0, 10**7), max_size=12),
    st.integers(1, 30),
    st.integers(1, 3_000),
)
def test_whatever_the_clock_says_time_goes_forward_and_no_byte_is_lost(
    clock: list[int | None], feed: int, payload_size: int
) -> None:
    data = clocked(clock)
    timed = pace(PcrPacer(payload_size=payload_size), data, feed * PACKET_SIZE)
    assert joined(timed) == data
    dues = [due for due, _ in timed]
    assert dues == sorted(dues)
    assert not dues or dues[0] == 0


def test_sizes_and_rates_are_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        PcrPacer(payload_size=0)
    with pytest.raises(ValueError, match="positive"):
        PcrPacer(fallback_bitrate=0)


def test_the_generator_puts_its_clock_on_a_pid_of_its_own() -> None:
    data = TsGenerator(RATE).take(200)
    assert {mark.pid for mark in find_pcrs(data)} == {PCR_PID}
    assert DATA_PID in {read_pid(data, start) for start in range(0, len(data), PACKET_SIZE)}
