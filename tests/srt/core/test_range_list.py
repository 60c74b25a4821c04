from hypothesis import given
from hypothesis import strategies as st

from terzetto.srt.core.range_list import RangeList

steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "remove_range", "remove_below"]),
        st.integers(0, 60),
        st.integers(0, 12),
    )
)


@given(steps)
def test_ranges_behave_like_the_set_of_their_positions(script: list[tuple[str, int, int]]) -> None:
    ranges, model = RangeList(), set[int]()
    for action, first, length in script:
        span = set(range(first, first + length + 1))
        if action == "add":
            assert ranges.add(first, first + length) == len(span - model)
            model |= span
        elif action == "remove":
            assert ranges.remove(first) is (first in model)
            model.discard(first)
        elif action == "remove_range":
            assert ranges.remove_range(first, first + length) == len(span & model)
            model -= span
        else:
            assert ranges.remove_below(first) == len({x for x in model if x < first})
            model = {x for x in model if x >= first}
        listed = [x for a, b in ranges for x in range(a, b + 1)]
        assert listed == sorted(model)
        assert ranges.count == len(model)
        assert bool(ranges) is bool(model)
        assert all(b + 1 < a for (_, b), (a, _) in zip(ranges, list(ranges)[1:], strict=False)), "merged"
        inside = [x for a, b in ranges.within(10, 20) for x in range(a, b + 1)]
        assert inside == sorted(x for x in model if 10 <= x <= 20)
        end = ranges.end_at(first)
        assert (end is None) is (first not in model) is (first not in ranges)
        if end is not None:
            assert end in model
            assert end + 1 not in model


def test_a_huge_range_is_one_entry() -> None:
    ranges = RangeList()
    ranges.add(0, 1 << 40)
    ranges.remove(1 << 39)
    assert len(list(ranges)) == 2
