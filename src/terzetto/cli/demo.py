"""``terzetto demo``: see a stream survive a bad network, on this machine and with nothing else."""

from __future__ import annotations

import secrets
import sys
from json import dumps
from typing import Annotated

import attrs
import trio
from cyclopts import Parameter

from terzetto.cli.demo_view import DemoView
from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import InvalidOption
from terzetto.gateway.demonstration import Demonstration, DemoPlan, DemoProgress, DemoResult
from terzetto.primitives.impairment.parse import parse_duration, parse_rate, parse_share

__all__ = ["demo"]

_PLAIN_INTERVAL = 1.0
_LIVE_INTERVAL = 0.1


def demo(
    *,
    protocol: str = "rist",
    profile: str | None = None,
    loss: str = "20%",
    delay: str = "20ms",
    latency: str | None = None,
    bitrate: str = "8Mbit",
    seconds: float = 8.0,
    seed: int | None = None,
    options: str = "",
    json: Annotated[bool, Parameter(negative=())] = False,
) -> int:
    """Send a stream over a bad network on this machine, and see whether all of it arrives.

    A generated MPEG transport stream goes through real UDP sockets on loopback and a built-in impairment that loses
    and delays packets, to a receiver that has the lost ones repeated. Exits with 0 only if everything arrived,
    compared by SHA-256. Needs no network, no privileges and no files.

    Try terzetto demo --latency 100ms to see what happens when there is no time for repeats.

    Parameters
    ----------
    protocol
        rist or srt.
    profile
        Of the protocol; for rist: main, simple or advanced, for srt: aes-ctr, aes-gcm or clear.
    loss
        Share of packets that the network loses, either way.
    delay
        How long each way takes.
    latency
        How far behind the sender the receiver may run to wait for repeats; the protocol's default unless given.
    bitrate
        Of the stream.
    seconds
        How long the stream is.
    seed
        Same seed, same losses; a random one unless given.
    options
        What the URLs of both ends say besides, as in secret=hush&aes-type=256 or users=FILE&username=me&password=mine.
    json
        Print one JSON object a line; the last one has "final": true.
    """
    plan = _plan(protocol, profile, loss, delay, latency, bitrate, seconds, seed, options)
    view: _Output
    if json:
        view = JsonOutput(plan)
    elif sys.stdout.isatty():
        view = LiveOutput(plan)
    else:
        view = PlainOutput(plan)
    result = trio.run(_show, plan, view)
    return 0 if result.succeeded else 1


def _plan(
    protocol: str,
    profile: str | None,
    loss: str,
    delay: str,
    latency: str | None,
    bitrate: str,
    seconds: float,
    seed: int | None,
    options: str,
) -> DemoPlan:
    try:
        plan = DemoPlan(
            protocol=protocol,
            profile=profile,
            loss=parse_share(loss),
            delay=parse_duration(delay),
            latency=parse_duration(latency) if latency is not None else None,
            bitrate=round(parse_rate(bitrate)),
            seconds=seconds,
            seed=secrets.randbelow(100_000) if seed is None else seed,
            options=options,
        )
    except InvalidOption:
        raise
    except ValueError as exc:
        raise InvalidOption(str(exc)) from None
    plan.check()
    return plan


async def _show(plan: DemoPlan, output: _Output) -> DemoResult:
    demonstration = Demonstration(plan)
    with output:
        async with open_session_nursery() as nursery:
            nursery.start_soon(_refresh, demonstration, output)
            result = await demonstration.run()
        output.update(demonstration.progress())
    output.conclude(result)
    return result


async def _refresh(demonstration: Demonstration, output: _Output) -> None:
    while True:
        await trio.sleep(output.interval)
        output.update(demonstration.progress())


def verdict(plan: DemoPlan, result: DemoResult) -> list[str]:
    """What to make of it, in a few lines."""
    sent, got = result.sha256_sent[:16], result.sha256_received[:16]
    if result.succeeded:
        mended = f", although the network lost {result.lost} of them: each was repeated in time"
        return [
            f"All {result.sent} packets arrived{mended if result.lost else ''}.",
            f"What arrived is what was sent, bit for bit: SHA-256 {sent}…",
        ]
    lines = [
        f"{result.unrecovered} of {result.sent} packets did not arrive in time.",
        f"What arrived is not what was sent: SHA-256 {got}… instead of {sent}…",
    ]
    advised = plan.advised_latency()
    if plan.chosen_latency < advised:
        lines.append(
            f"A round trip takes {2000 * plan.delay:g} ms here, and a latency of "
            f"{1000 * plan.chosen_latency:g} ms leaves no time to ask again when a repeat is lost too."
        )
        lines.append(f"Try: raise --latency: terzetto demo{_as_typed(plan)} --latency {1000 * advised:.0f}ms")
    else:
        lines.append(
            "There was time enough to repeat them: either this machine is too busy, or this is a fault of "
            f"ours. Please report it with the seed, {plan.seed}."
        )
    return lines


def _as_typed(plan: DemoPlan) -> str:
    usual = DemoPlan()
    options = ""
    if plan.loss != usual.loss:
        options += f" --loss {plan.loss * 100:g}%"
    if plan.delay != usual.delay:
        options += f" --delay {plan.delay * 1000:g}ms"
    if plan.bitrate != usual.bitrate:
        options += f" --bitrate {plan.bitrate / 1e6:g}Mbit"
    return options


def headline(plan: DemoPlan) -> tuple[str, str]:
    """What is being shown, and over what."""
    name = f"{plan.entry.title} {plan.chosen_profile.capitalize()}".strip()
    what = f"{plan.bitrate / 1e6:g} Mbit/s for {plan.seconds:g} s"
    over = f"loses {plan.loss * 100:g}% and takes {plan.delay * 1000:g} ms each way (seed {plan.seed})"
    return (
        f"{name}: {what}, with a latency of {plan.chosen_latency * 1000:g} ms",
        f"over a network that {over}",
    )


class _Output:
    """Where the demonstration is shown."""

    interval = _PLAIN_INTERVAL

    def __init__(self, plan: DemoPlan) -> None:
        self.plan = plan

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, *exc_info: object) -> None:
        """End, done or not."""

    def update(self, progress: DemoProgress) -> None:
        """Show how far it is."""

    def conclude(self, result: DemoResult) -> None:
        """Show what came of it."""


class PlainOutput(_Output):
    """A line a second, for logs and pipes."""

    def __enter__(self) -> None:
        print("\n".join(headline(self.plan)), flush=True)

    def update(self, progress: DemoProgress) -> None:
        print(
            f"{progress.elapsed:5.1f} s  sent {progress.sent}  lost {progress.lost}  recovered {progress.recovered}  "
            f"unrecovered {progress.unrecovered}  round trip {progress.round_trip * 1000:.0f} ms  {progress.phase}",
            flush=True,
        )

    def conclude(self, result: DemoResult) -> None:
        for line in verdict(self.plan, result):
            print(line)


class LiveOutput(_Output):
    """A table that moves, for terminals."""

    interval = _LIVE_INTERVAL

    def __init__(self, plan: DemoPlan) -> None:
        super().__init__(plan)
        self._view = DemoView("\n".join(headline(plan)), plan, every=self.interval)

    def __enter__(self) -> None:
        self._view.start()

    def __exit__(self, *exc_info: object) -> None:
        self._view.stop()

    def update(self, progress: DemoProgress) -> None:
        self._view.update(progress)

    def conclude(self, result: DemoResult) -> None:
        self._view.say(verdict(self.plan, result), good=result.succeeded)


class JsonOutput(_Output):
    """An object a line, for programs."""

    def __enter__(self) -> None:
        plan = {**attrs.asdict(self.plan), "profile": self.plan.chosen_profile}
        del plan["options"]  # there may be secrets in it
        self._print({"event": "started", **plan, "latency": self.plan.chosen_latency})

    def update(self, progress: DemoProgress) -> None:
        self._print({"event": "progress", **attrs.asdict(progress)})

    def conclude(self, result: DemoResult) -> None:
        self._print({"final": True, **attrs.asdict(result), "seed": self.plan.seed})

    @staticmethod
    def _print(values: dict[str, object]) -> None:
        print(dumps(values), flush=True)
