from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.mpegts.alignment import PAYLOAD_SIZE, PacketAligner, PayloadCutter, is_aligned
from terzetto.mpegts.generator import TsGenerator
from terzetto.mpegts.packet import PACKET_SIZE, null_packet

STREAM = TsGenerator(1_000_000, seed=1).take(60)
# No sync byte anywhere, so every cut through it is garbage.
QUIET = (b"\x47\x01\x00\x10".ljust(PACKET_SIZE, b"\xaa")) * 40


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    cut, start = [], 0
    for size in sizes:
        cut.append(data[start : start + size])
        start += size
    return [*cut, data[start:]]


def run(aligner: PacketAligner, data: bytes, sizes: list[int]) -> bytes:
    return b"".join([*map(aligner.feed, pieces(data, sizes)), aligner.finish()])


@given(st.lists(st.integers(1, 2_000), max_size=12))
def test_a_clean_stream_passes_however_it_is_cut(sizes: list[int]) -> None:
    aligner = PacketAligner()
    assert run(aligner, STREAM, sizes) == STREAM
    assert (aligner.discarded, aligner.resyncs) == (0, 0)


@given(
    st.binary(max_size=400).filter(lambda garbage: 0x47 not in garbage),
    st.lists(st.integers(1, 700), max_size=8),
)
def test_garbage_before_a_stream_is_left_out_and_counted(garbage: bytes, sizes: list[int]) -> None:
    aligner = PacketAligner()
    assert run(aligner, garbage + QUIET, sizes) == QUIET
    assert (aligner.discarded, aligner.resyncs) == (len(garbage), 0)


@given(
    st.integers(3, 39),
    st.binary(min_size=1, max_size=400).filter(lambda garbage: 0x47 not in garbage),
    st.lists(st.integers(1, 700), max_size=8),
)
def test_garbage_inside_a_stream_is_left_out_and_alignment_found_again(
    before: int, garbage: bytes, sizes: list[int]
) -> None:
    aligner = PacketAligner()
    cut = before * PACKET_SIZE
    assert run(aligner, QUIET[:cut] + garbage + QUIET[cut:], sizes) == QUIET
    assert (aligner.discarded, aligner.resyncs) == (len(garbage), 1)


def test_packets_too_few_to_be_believed_are_left_out_with_the_garbage_after_them() -> None:
    aligner = PacketAligner()
    assert run(aligner, QUIET[: 2 * PACKET_SIZE] + b"garbage" + QUIET, []) == QUIET
    assert (aligner.discarded, aligner.resyncs) == (2 * PACKET_SIZE + 7, 0)


def test_sync_bytes_inside_packets_do_not_mislead() -> None:
    tricky = (b"\x47\x01\x00\x10" + b"\x47" * 184) * 10
    aligner = PacketAligner()
    assert run(aligner, b"\x00" * 5 + tricky, [100, 300]) == tricky
    assert aligner.discarded == 5


def test_a_packet_cut_off_at_the_end_is_left_out_and_counted() -> None:
    aligner = PacketAligner()
    assert run(aligner, QUIET + QUIET[:100], []) == QUIET
    assert aligner.discarded == 100


@pytest.mark.parametrize("count", [1, 2])
def test_a_stream_shorter_than_the_proof_comes_out_at_the_end(count: int) -> None:
    aligner = PacketAligner()
    short = QUIET[: count * PACKET_SIZE]
    assert aligner.feed(short) == b""
    assert aligner.finish() == short


def test_packets_of_204_bytes_are_aligned_too() -> None:
    wide = (null_packet() + bytes(16)) * 8
    aligner = PacketAligner(204)
    assert run(aligner, b"\x01\x02" + wide, [500]) == wide
    assert aligner.discarded == 2


@given(st.binary(max_size=1_500), st.lists(st.integers(1, 300), max_size=6))
def test_every_byte_is_passed_on_or_counted(data: bytes, sizes: list[int]) -> None:
    aligner = PacketAligner()
    out = run(aligner, data, sizes)
    assert len(out) + aligner.discarded == len(data)
    assert out == b"" or is_aligned(out)


@given(
    st.lists(st.sampled_from([b"\x47", b"\x00" * 187, b"\x47" + b"\x00" * 187, b"\x47" * 100]), max_size=40)
)
def test_every_byte_is_passed_on_or_counted_where_packets_and_garbage_mix(parts: list[bytes]) -> None:
    aligner = PacketAligner()
    out = b"".join([*map(aligner.feed, parts), aligner.finish()])
    assert len(out) + aligner.discarded == len(b"".join(parts))
    assert out == b"" or is_aligned(out)


def test_pure_garbage_is_not_held_for_ever() -> None:
    aligner = PacketAligner()
    for _ in range(100):
        assert aligner.feed(b"\x00" * 1_000) == b""
    assert aligner.discarded == 100_000


def test_alignment_of_a_whole_buffer() -> None:
    assert is_aligned(STREAM)
    assert is_aligned(memoryview(STREAM))
    assert not is_aligned(STREAM[:-1])
    assert not is_aligned(STREAM[1:] + b"\x47")
    assert not is_aligned(b"")


@given(st.lists(st.binary(max_size=90), max_size=12), st.integers(1, 50))
def test_payloads_are_full_and_nothing_is_lost(parts: list[bytes], size: int) -> None:
    cutter = PayloadCutter(size)
    payloads = [payload for part in parts for payload in cutter.feed(part)]
    assert all(len(payload) == size for payload in payloads)
    assert len(cutter) < size
    assert b"".join([*payloads, cutter.finish()]) == b"".join(parts)
    assert len(cutter) == 0


def test_seven_packets_make_a_payload() -> None:
    cutter = PayloadCutter()
    payloads = cutter.feed(STREAM)
    assert [len(payload) for payload in payloads] == [PAYLOAD_SIZE] * 8
    assert len(cutter) == 4 * PACKET_SIZE


def test_a_payload_has_at_least_a_byte() -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        PayloadCutter(0)
