"""``python -m bench``: terzetto beside the tools people use today, in one run on one machine."""

from __future__ import annotations

import argparse
import itertools
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, TextIO

import attrs

from bench.cases import OUR_PEERS, Case, cases, load_ends
from bench.ladder import Ladder, find_max
from bench.machine import BenchError
from bench.result import Result, read_results, write_result
from bench.run import Settings, measure
from bench.table import markdown, replace_between

__all__ = ["main", "make_parser"]

IMPAIRMENTS: Final = {
    "none": "",
    "delay20": "--delay 20",
    "loss1": "--loss 1 --delay 20",
    "loss5": "--loss 5 --delay 20",
    "loss10": "--loss 10 --delay 20",
    "burst5": "--loss 5 --burst 20 --delay 20",
    "jitter": "--loss 1 --delay 20 --jitter 5",
}

BEGIN: Final = "<!-- bench{section}: begin -->"
END: Final = "<!-- bench{section}: end -->"


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print tables of medians; 0 when every run gave figures."""
    options = make_parser().parse_args(argv)
    try:
        if options.report:
            results = [result for path in options.report for result in read_results(path)]
        else:
            results = _measure_all(options)
    except BenchError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 2
    table = markdown(results)
    print(table, end="")
    if options.into:
        page: Path = options.into
        section = f" {options.section}" if options.section else ""
        begin, end = (mark.format(section=section) for mark in (BEGIN, END))
        page.write_text(replace_between(page.read_text(), table, begin=begin, end=end))
    return 1 if any(result.error for result in results) else 0


def _measure_all(options: argparse.Namespace) -> list[Result]:
    chosen = _available(
        cases(
            load_ends([OUR_PEERS, *options.peers_file]),
            modes=_words(options.mode),
            peers=_words(options.peer),
        )
    )
    if options.pair:
        chosen = [case for case in chosen if case.name in _words(options.pair)]
    results: list[Result] = []
    with ExitStack() as stack:
        out: TextIO | None = (
            stack.enter_context(options.out.open("a", encoding="utf-8")) if options.out else None
        )

        def report(result: Result) -> None:
            results.append(result)
            print(result.line(), file=sys.stderr, flush=True)
            if out is not None:
                write_result(result, out)

        # The repeats are the outermost loop, so that the noise of a shared machine falls on all alike.
        for repeat, settings, case in itertools.product(range(options.repeat), _settings(options), chosen):
            report(measure(case, _with_repeat(settings, repeat)))
        if options.find_max:
            ladder = Ladder(start=options.max_from, end=options.max_to, step=options.max_step)
            for case in chosen:
                settings = Settings(rate=ladder.start, latency=options.latency, seconds=options.seconds)
                find_max(case, settings, ladder, report)
    return results


def _available(chosen: Sequence[Case]) -> list[Case]:
    missing = {
        end.peer: ", ".join(end.missing())
        for case in chosen
        for end in (case.sender, case.receiver)
        if end.missing()
    }
    for peer, programs in missing.items():
        print(f"bench: {peer} is left out, this machine has no {programs}", file=sys.stderr)
    return [case for case in chosen if case.sender.peer not in missing and case.receiver.peer not in missing]


def _settings(options: argparse.Namespace) -> list[Settings]:
    paths = [options.impair] if options.impair.startswith("-") else _words(options.impair)
    return [
        Settings(
            rate=float(rate),
            latency=options.latency,
            impairment=IMPAIRMENTS.get(path, path),
            seconds=options.seconds,
            tick_us=options.tick_us,
            nice=options.nice,
            logs=options.logs,
        )
        for rate, path in itertools.product(_words(options.rate), paths)
    ]


def _with_repeat(settings: Settings, repeat: int) -> Settings:
    return attrs.evolve(settings, repeat=repeat)


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def make_parser() -> argparse.ArgumentParser:
    """The command line's grammar."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    add = parser.add_argument
    add("--peer", default="", help="peers to measure, comma separated; all by default")
    add("--mode", default="rist-simple,floor", help="modes to measure; those of peers.toml, or all if empty")
    add("--pair", default="", help="only these pairs, as 'terzetto,terzetto → librist'")
    add(
        "--peers-file",
        type=Path,
        action="append",
        default=[],
        help="further peers, in a file like peers.toml",
    )
    add("--rate", default="20,100,300", help="Mbit/s of payload")
    add("--latency", type=int, default=200, help="recovery buffer of the peers, ms")
    add("--impair", default="none", help=f"of {', '.join(IMPAIRMENTS)}; or options of bench/c/impair.c")
    add("--seconds", type=float, default=8.0)
    add("--repeat", type=int, default=3)
    add("--tick-us", type=float, default=500.0, help="how often the source wakes")
    add("--nice", type=int, default=-10, help="for source and sink, where the system grants it; 0 leaves it")
    add("--find-max", action="store_true", help="also climb the rate until packets go missing")
    add("--max-from", type=float, default=100.0)
    add("--max-to", type=float, default=4000.0)
    add("--max-step", type=float, default=1.25)
    add("--out", type=Path, help="append every run to this file, a line of JSON each")
    add("--logs", type=Path, help="a folder for what the peers print")
    add("--report", type=Path, nargs="+", help="measure nothing, make the tables of these files")
    add("--into", type=Path, help="write the tables into a page, between <!-- bench: begin --> and its end")
    add("--section", default="", help="write them between <!-- bench SECTION: begin --> and its end")
    return parser


if __name__ == "__main__":
    # Whoever ends us means our children as well; an exception is what closes them.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
