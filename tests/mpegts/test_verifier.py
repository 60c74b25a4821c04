from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from terzetto.mpegts.generator import DATA_PID, TsGenerator
from terzetto.mpegts.packet import PACKET_SIZE, read_pid
from terzetto.mpegts.verifier import TsVerifier

DATA = TsGenerator(8_000_000, seed=5, data_bitrate=6_000_000).take(500)
PACKETS = [DATA[start : start + PACKET_SIZE] for start in range(0, len(DATA), PACKET_SIZE)]
NUMBERED = [index for index, packet in enumerate(PACKETS) if read_pid(packet) == DATA_PID]


def verify(packets: list[bytes], seed: int = 5) -> TsVerifier:
    verifier = TsVerifier(seed)
    verifier.feed(b"".join(packets))
    verifier.finish()
    return verifier


@given(st.lists(st.integers(1, 3_000), max_size=8))
def test_an_unharmed_stream_is_intact_however_it_is_cut(sizes: list[int]) -> None:
    verifier = TsVerifier(5)
    start = 0
    for size in [*sizes, len(DATA)]:
        verifier.feed(DATA[start : start + size])
        start += size
    verifier.finish()
    assert verifier.is_intact
    assert verifier.packets == 500
    assert verifier.data_packets == len(NUMBERED)


def test_a_receiver_that_joins_late_misses_nothing() -> None:
    assert verify(PACKETS[100:]).is_intact


@given(st.sets(st.sampled_from(NUMBERED[1:-1]), max_size=20))
def test_every_lost_packet_is_missed(lost: set[int]) -> None:
    verifier = verify([packet for index, packet in enumerate(PACKETS) if index not in lost])
    assert (verifier.missing, verifier.repeated, verifier.corrupt) == (len(lost), 0, 0)


@given(st.sampled_from(NUMBERED), st.integers(1, 40))
def test_a_packet_that_comes_twice_is_repeated(index: int, later: int) -> None:
    at = index + later
    verifier = verify([*PACKETS[:at], PACKETS[index], *PACKETS[at:]])
    assert (verifier.missing, verifier.repeated, verifier.corrupt) == (0, 1, 0)


@given(st.sampled_from(NUMBERED), st.integers(0, PACKET_SIZE - 1), st.integers(0, 7))
def test_one_flipped_bit_does_not_pass_unseen(index: int, byte: int, bit: int) -> None:
    broken = bytearray(PACKETS[index])
    # The PES header is not compared: only the generator knows its time stamps.
    if broken[1] & 0x40 and 4 <= byte < 18:
        return
    broken[byte] ^= 1 << bit
    verifier = verify([*PACKETS[:index], bytes(broken), *PACKETS[index + 1 :]])
    assert not verifier.is_intact or index in (NUMBERED[0], NUMBERED[-1])


def test_a_corrupt_packet_is_not_missing_as_well() -> None:
    broken = PACKETS[NUMBERED[50]][:-1] + b"!"
    verifier = verify([*PACKETS[: NUMBERED[50]], broken, *PACKETS[NUMBERED[50] + 1 :]])
    assert (verifier.missing, verifier.repeated, verifier.corrupt) == (0, 0, 1)


def test_garbage_between_packets_is_seen() -> None:
    verifier = verify([*PACKETS[:100], b"garbage", *PACKETS[100:]])
    assert verifier.discarded == 7
    assert not verifier.is_intact


def test_another_seed_makes_everything_corrupt() -> None:
    verifier = verify(PACKETS, seed=6)
    assert verifier.corrupt == verifier.data_packets == len(NUMBERED)


def test_nothing_at_all_is_not_intact() -> None:
    assert not verify([]).is_intact
