"""What a sender can repeat."""

from __future__ import annotations

from terzetto.rist.core.history import History


def fresh(window: int = 1_000_000, bits: int = 16) -> History:
    return History(window=window, sequence_bits=bits)


def test_numbers_count_up_from_zero_batch_by_batch() -> None:
    history = fresh()
    assert history.append([b"a", b"b"], timestamp=7, now=0) == 0
    assert history.append([b"c"], timestamp=8, now=5) == 2
    assert history.find(1) == (1, (0, 7, b"b"))
    assert history.newest() == (2, (5, 8, b"c"))


def test_what_is_older_than_the_window_is_forgotten() -> None:
    history = fresh()
    history.append([b"old"], timestamp=0, now=0)
    history.append([b"edge"], timestamp=0, now=1)
    history.append([b"new"], timestamp=0, now=1_000_001)
    assert history.find(0) is None
    assert history.find(1) is not None
    assert len(history) == 2


def test_a_number_off_the_wire_means_the_newest_packet_that_has_it() -> None:
    history = fresh()
    history.next_sequence = history._oldest = 65_530
    history.append([b"%d" % n for n in range(20)], timestamp=0, now=0)
    assert history.find(65_535) == (65_535, (0, 0, b"5"))
    assert history.find(3) == (65_539, (0, 0, b"9"))
    assert history.find(100) is None, "not sent yet"


def test_more_packets_than_the_wire_can_name_are_not_kept() -> None:
    history = fresh(window=10**12)
    for start in range(0, 70_000, 1000):
        history.append([b"x"] * 1000, timestamp=0, now=start)
    assert len(history) == 65_535
    assert history.find(69_999 & 0xFFFF) == (69_999, (69_000, 0, b"x"))


def test_nothing_sent_is_nothing_found() -> None:
    assert fresh().find(0) is None
    assert fresh().newest() is None
    assert fresh().append([], timestamp=0, now=0) == 0


def test_a_request_that_says_the_lower_half_alone_means_the_newest_such_packet() -> None:
    history = fresh(bits=32)
    history.next_sequence = 0x1_0000
    history.append([b"old"], timestamp=0, now=0)
    history.next_sequence = 0x2_0000
    history.append([b"new"], timestamp=0, now=0)
    assert history.find(0, sequence_bits=16) == (0x2_0000, (0, 0, b"new"))
    assert history.find(0x1_0000, sequence_bits=32) == (0x1_0000, (0, 0, b"old"))


def test_32_bits_remember_more_packets_than_16_can_name() -> None:
    for bits, remembered in ((16, 65_535), (32, 70_000)):
        history = fresh(bits=bits)
        history.append([b""] * 70_000, timestamp=0, now=0)
        assert len(history) == remembered
