"""Medians as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from bench.result import Result

__all__ = ["ladder_table", "markdown", "replace_between"]

_HEAD: Final = (
    "pair",
    "CPU s/GB sender",
    "receiver",
    "undelivered %",
    "added delay ms",
    "delay p99 ms",
    "memory MB sender",
    "receiver",
)


def markdown(results: Iterable[Result]) -> str:
    """A table of medians for each mode of path and rate; ratios are to the reference of the mode in brackets."""
    flat = [result for result in results if not result.ladder]
    parts = []
    for impairment in dict.fromkeys(result.impairment for result in flat):
        for rate in sorted({result.rate for result in flat}):
            group = [each for each in flat if each.rate == rate and each.impairment == impairment]
            if group:
                path = f", path: `{impairment}`" if impairment else ""
                parts.append(f"**{rate:g} Mbit/s{path}**\n\n{_table(group)}")
    ladders = ladder_table(results)
    return "\n\n".join([*parts, ladders] if ladders else parts) + "\n"


def ladder_table(results: Iterable[Result]) -> str:
    """The highest rate that each pair held, from the runs of its ladder; empty when nobody climbed."""
    climbed = [result for result in results if result.ladder]
    if not climbed:
        return ""
    rows = ["| pair | highest rate without loss, Mbit/s |", "|---|---|"]
    for pair in dict.fromkeys(result.pair for result in climbed):
        own = [result for result in climbed if result.pair == pair]
        held = [
            rate
            for rate in {result.rate for result in own}
            if sum(bool(each.error) or each.undelivered_percent > 0.1 for each in own if each.rate == rate)
            < 2
        ]
        rows.append(f"| {pair} | {max(held, default=0):g} |")
    return "\n".join(rows)


def replace_between(text: str, table: str, *, begin: str, end: str) -> str:
    """*text* with what stands between the lines *begin* and *end* replaced by *table*."""
    head, found, rest = text.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"the page has no {begin!r} ... {end!r}")
    return f"{head}{begin}\n\n{table}\n{end}{tail}"


def _table(group: Sequence[Result]) -> str:
    modes = len({result.mode for result in group if not result.mode.startswith("floor")})
    rows = [f"| {' | '.join(_HEAD)} |", "|" + "---|" * len(_HEAD)]
    for mode, pair in dict.fromkeys((result.mode, result.pair) for result in group):
        own = [result for result in group if (result.mode, result.pair) == (mode, pair)]
        reference = [result for result in group if result.mode == mode and result.is_reference]
        name = f"{pair} ({mode})" if modes > 1 else pair
        rows.append(f"| {' | '.join([name, *_cells(own, reference)])} |")
    return "\n".join(rows)


def _cells(own: Sequence[Result], reference: Sequence[Result]) -> list[str]:
    good = [result for result in own if not result.error]
    if not good:
        return [own[0].error, *[""] * (len(_HEAD) - 2)]

    def median(value: Callable[[Result], float]) -> float:
        return statistics.median(value(result) for result in good)

    def with_ratio(value: Callable[[Result], float]) -> str:
        text = _show(median(value))
        others = [value(result) for result in reference if not result.error]
        if not others or good[0].is_reference or not (other := statistics.median(others)):
            return text
        return f"{text} ({median(value) / other:.2f})"

    return [
        with_ratio(lambda result: result.sender_cpu_per_gb),
        with_ratio(lambda result: result.receiver_cpu_per_gb),
        _show(median(lambda result: result.undelivered_percent)),
        _show(median(lambda result: result.added_delay)),
        _show(median(lambda result: result.delay_p99)),
        _show(median(lambda result: result.sender_memory)),
        _show(median(lambda result: result.receiver_memory)),
    ]


def _show(value: float) -> str:
    if value == 0:
        return "0"
    if abs(value) < 0.095:
        return f"{value:.3f}"
    return f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"
