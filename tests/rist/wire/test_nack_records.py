from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from terzetto.rist.wire.nack_records import (
    MAX_SEQUENCES_ACCEPTED,
    expand,
    generic_nacks,
    masks_from_sequences,
    range_nacks,
    ranges_from_sequences,
    split_by_high,
)
from terzetto.rist.wire.range_nack import NackRange, RangeNack
from terzetto.rtp.feedback import GenericNack, NackMask

TR_06_1_EXAMPLE = [100, *range(103, 123)]


def test_the_example_of_the_specification_as_ranges() -> None:
    (nack,) = range_nacks(0xAABBCC00, TR_06_1_EXAMPLE)
    assert nack.encode() == bytes.fromhex("80cc0004 aabbcc00 52495354 00640000 00670013")
    assert expand(nack) == (TR_06_1_EXAMPLE, False)


def test_the_example_of_the_specification_as_masks() -> None:
    (nack,) = generic_nacks(0, 0xAABBCC00, TR_06_1_EXAMPLE)
    assert nack.encode() == bytes.fromhex("81cd0004 00000000 aabbcc00 0064fffc 0075001f")
    assert expand(nack) == (TR_06_1_EXAMPLE, False)


def test_the_masks_of_gstreamer() -> None:
    data = bytes.fromhex("81cd0004 05cdbf74 8b900a86 000c2a80 00210000")
    lost = [12, 20, 22, 24, 26, 33]
    assert expand(GenericNack.decode(data)).sequences == lost
    assert [nack.encode() for nack in generic_nacks(0x05CDBF74, 0x8B900A86, lost)] == [data]


def test_a_run_goes_on_around_the_circle() -> None:
    around = [65534, 65535, 0, 1]
    assert ranges_from_sequences(around) == [NackRange(65534, 3)]
    assert masks_from_sequences(around) == [NackMask(65534, 0b111)]
    assert expand(RangeNack(1, (NackRange(65534, 3),))).sequences == around
    assert expand(GenericNack(0, 1, (NackMask(65534, 0b111),))).sequences == around


def test_nothing_lost_asks_for_nothing() -> None:
    assert range_nacks(1, []) == []
    assert generic_nacks(0, 1, []) == []


def test_sequences_that_need_many_records_go_into_several_messages() -> None:
    lost = list(range(0, 200, 2))
    messages = range_nacks(1, lost)
    assert [len(message.ranges) for message in messages] == [16] * 6 + [4]
    assert [sequence for message in messages for sequence in expand(message).sequences] == lost


def test_librist_may_ask_for_200_sequences_in_one_message() -> None:
    lost = list(range(0, 400, 2))
    (message,) = range_nacks(1, lost, max_records=200)
    assert expand(message) == (lost, False)


def test_a_small_message_cannot_ask_for_a_flood() -> None:
    whole_circle = RangeNack(1, (NackRange(0, 65535),) * 16)
    sequences, truncated = expand(whole_circle)
    assert sequences == list(range(MAX_SEQUENCES_ACCEPTED))
    assert truncated


@pytest.mark.parametrize(
    "nack",
    [
        RangeNack(1, (NackRange(0, 4), NackRange(10, 4))),
        GenericNack(0, 1, (NackMask(0, 0xF), NackMask(10, 0xF))),
    ],
)
def test_the_limits_cut_where_they_say(nack: RangeNack | GenericNack) -> None:
    assert expand(nack, max_records=1) == ([0, 1, 2, 3, 4], True)
    assert expand(nack, max_sequences=7) == ([0, 1, 2, 3, 4, 10, 11], True)
    assert expand(nack, max_sequences=5) == ([0, 1, 2, 3, 4], True)
    assert expand(nack, max_sequences=10).truncated is False


def test_wide_sequences_are_grouped_by_their_upper_half() -> None:
    assert split_by_high([0x0001FFFE, 0x0001FFFF, 0x00020000]) == [(1, [0xFFFE, 0xFFFF]), (2, [0])]


ascending = st.builds(
    lambda start, steps: [
        (start + sum(steps[: count + 1])) & 0xFFFF for count in range(len(steps)) if sum(steps) < 65536
    ],
    st.integers(0, 65535),
    st.lists(st.integers(1, 40), max_size=60),
)


@given(ascending)
def test_what_is_asked_for_is_what_was_lost(lost: list[int]) -> None:
    for nacks in (range_nacks(1, lost), generic_nacks(0, 1, lost)):
        asked = [sequence for nack in nacks for sequence in expand(nack).sequences]
        assert asked == lost
        assert all(not expand(nack).truncated for nack in nacks)


@given(
    st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535)), max_size=30),
    st.integers(0, 20),
    st.integers(0, 200),
)
def test_no_message_gets_past_the_limits(
    records: list[tuple[int, int]], max_records: int, max_sequences: int
) -> None:
    for nack in (
        RangeNack(1, tuple(NackRange(*record) for record in records)),
        GenericNack(0, 1, tuple(NackMask(*record) for record in records)),
    ):
        sequences, truncated = expand(nack, max_records=max_records, max_sequences=max_sequences)
        assert len(sequences) <= max_sequences
        assert all(0 <= sequence <= 65535 for sequence in sequences)
        assert truncated or len(records) <= max_records
