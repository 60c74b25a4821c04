"""``terzetto impair``: a UDP proxy that treats what passes as a bad network would."""

from __future__ import annotations

import secrets
import signal
import sys
from collections.abc import AsyncIterator
from json import dumps
from typing import Annotated

import attrs
import trio
from cyclopts import Group, Parameter

from terzetto.errors import InvalidOption
from terzetto.gateway.impairment import ImpairmentProxy, ImpairmentStatistics, open_impairment_proxy
from terzetto.net.endpoint import Trouble
from terzetto.primitives.impairment import BurstLoss, Fates, IndependentLoss, LinkConditions, LossModel
from terzetto.primitives.impairment.parse import parse_conditions, parse_duration

__all__ = ["Impairments", "impair", "parse_host_port"]

# What a router's buffer holds when nobody thought about it.
_DEFAULT_QUEUE = "200ms"

_LINKS = Group("What the links do", sort_key=1)
_ONE_WAY = Group("One way only", help="Win over the options for both ways.", sort_key=2)


def _help(text: str) -> Parameter:
    return Parameter(help=text)


@Parameter(name="*", group=_LINKS)
@attrs.frozen(kw_only=True)
class Impairments:
    """What the links do; plain options hold for both ways, ``-up`` and ``-down`` for one."""

    loss: Annotated[str | None, _help("Share that is lost, each on its own: 5%.")] = None
    burst: Annotated[
        str | None,
        _help("Loss in bursts: 5%x8 (5% lost, 8 at a time on average), or Gilbert-Elliott 1%:30%."),
    ] = None
    delay: Annotated[str | None, _help("How long the way takes: 40ms.")] = None
    jitter: Annotated[str | None, _help("Up to this much more or less than the delay, in order: 5ms.")] = None
    reorder: Annotated[str | None, _help("Share that is held back, so that later ones overtake it: 1%.")] = (
        None
    )
    reorder_by: Annotated[str | None, _help("How long it is held back; 10ms unless given.")] = None
    duplicate: Annotated[str | None, _help("Share that arrives twice: 0.1%.")] = None
    corrupt: Annotated[str | None, _help("Share that arrives with one bit flipped.")] = None
    rate: Annotated[str | None, _help("What passes in a second, headers included: 10Mbit.")] = None
    queue: Annotated[
        str | None, _help("What may wait for the rate, 64kB or 200ms (the default); the rest is dropped.")
    ] = None
    mtu: Annotated[str | None, _help("The longest IP packet that passes, in bytes: 1500.")] = None


@Parameter(name="*", group=_ONE_WAY)
@attrs.frozen(kw_only=True)
class OneWay:
    """What holds for one direction only, and wins over what holds for both."""

    loss_up: str | None = None
    loss_down: str | None = None
    burst_up: str | None = None
    burst_down: str | None = None
    delay_up: str | None = None
    delay_down: str | None = None
    jitter_up: str | None = None
    jitter_down: str | None = None
    reorder_up: str | None = None
    reorder_down: str | None = None
    duplicate_up: str | None = None
    duplicate_down: str | None = None
    corrupt_up: str | None = None
    corrupt_down: str | None = None
    rate_up: str | None = None
    rate_down: str | None = None
    queue_up: str | None = None
    queue_down: str | None = None


def impair(
    listen: str,
    target: str,
    /,
    *,
    both: Impairments | None = None,
    one_way: OneWay | None = None,
    seed: int | None = None,
    pair: bool = False,
    duration: str | None = None,
    stats: str | None = None,
    json: bool = False,
) -> int:
    """Forward UDP between whoever sends to LISTEN and TARGET, as a bad network would.

    Both ways and for many clients at a time. Up is towards TARGET, down is back to the clients. Without any option
    for the links everything passes at once. Ends on Ctrl-C, SIGTERM or after --duration, with a tally.

    Example: terzetto impair --loss 5% --delay 40ms :5000 192.0.2.7:5000

    Parameters
    ----------
    listen
        Where clients send to, host:port; :port is every address of this machine.
    target
        Where to forward to, host:port.
    seed
        Same seed, same fate of the nth datagram; a random one unless given.
    pair
        Carry the next port too, as RTP and RIST Simple need (media even, reports odd).
    duration
        Stop after this long: 90s, 5min.
    stats
        Print a tally this often: 1s.
    json
        Print one JSON object a line.
    """
    up = _conditions(both or Impairments(), one_way or OneWay(), "up")
    down = _conditions(both or Impairments(), one_way or OneWay(), "down")
    command = _Impair(
        listen=parse_host_port(listen, "LISTEN"),
        target=parse_host_port(target, "TARGET"),
        up=up,
        down=down,
        seed=secrets.randbelow(1 << 31) if seed is None else seed,
        pair=pair,
        duration=_seconds(duration, "duration"),
        stats=_seconds(stats, "stats"),
        json=json,
    )
    if not command.target[0]:
        raise InvalidOption(f"TARGET {target!r} has no host", hint="write host:port")
    trio.run(command.run)
    return 0


def parse_host_port(text: str, name: str) -> tuple[str, int]:
    """``host:port``, ``[v6]:port`` or ``:port``."""
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise InvalidOption(
            f"{name} is {text!r}", hint=f"an IPv6 address stands in brackets: [{host}]:{port}"
        )
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise InvalidOption(f"{name} is {text!r}", hint="write host:port, such as 127.0.0.1:5000")
    return host, int(port)


def _seconds(text: str | None, name: str) -> float | None:
    if text is None:
        return None
    try:
        # A bare number is seconds, as in the other commands.
        value = float(text) if _is_number(text) else parse_duration(text)
    except ValueError as exc:
        raise InvalidOption(f"--{name}: {exc}") from None
    if not 0 < value < float("inf"):
        raise InvalidOption(f"--{name} is {text}, and must be more than 0")
    return value


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal()


def _conditions(both: Impairments, one_way: OneWay, direction: str) -> LinkConditions:
    chosen: dict[str, str | None] = attrs.asdict(both)
    for name, value in attrs.asdict(one_way).items():
        what, _, where = name.rpartition("_")
        if where == direction and value is not None:
            chosen[what] = value
    if chosen["rate"] and not chosen["queue"]:
        chosen["queue"] = _DEFAULT_QUEUE
    try:
        return parse_conditions(**chosen)
    except ValueError as exc:
        raise InvalidOption(f"the way {direction}: {exc}") from None


@attrs.frozen(kw_only=True)
class _Impair:
    """One run of the command."""

    listen: tuple[str, int]
    target: tuple[str, int]
    up: LinkConditions
    down: LinkConditions
    seed: int
    pair: bool
    duration: float | None
    stats: float | None
    json: bool

    async def run(self) -> None:
        # Caught before the ready line invites anybody to send one.
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async with open_impairment_proxy(
                self.listen,
                self.target,
                up=self.up,
                down=self.down,
                seed=self.seed,
                pair=self.pair,
                complain=_Complaints().hear,
            ) as proxy:
                self._say_ready(proxy)
                await self._until_told(proxy, signals)
                final = proxy.statistics()
            self._say_final(final)

    async def _until_told(self, proxy: ImpairmentProxy, signals: AsyncIterator[int]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._tell_regularly, proxy)
            with trio.move_on_after(float("inf") if self.duration is None else self.duration):
                await anext(signals)
            nursery.cancel_scope.cancel()

    async def _tell_regularly(self, proxy: ImpairmentProxy) -> None:
        while self.stats is not None:
            await trio.sleep(self.stats)
            now = proxy.statistics()
            if self.json:
                _print_json(event="statistics", **attrs.asdict(now))
            else:
                print(f"up: {_tally(now.up)} | down: {_tally(now.down)} | clients: {now.clients}", flush=True)

    def _say_ready(self, proxy: ImpairmentProxy) -> None:
        up, down = describe(self.up), describe(self.down)
        if self.json:
            _print_json(
                event="ready",
                listen=str(proxy.listen_address),
                target=str(proxy.target),
                pair=self.pair,
                seed=self.seed,
                up=up,
                down=down,
            )
            return
        ports = " (and the port above)" if self.pair else ""
        links = f"each way {up}" if up == down else f"up {up}; down {down}"
        print(
            f"ready: {proxy.listen_address} -> {proxy.target}{ports}, seed {self.seed}, {links}", flush=True
        )

    def _say_final(self, final: ImpairmentStatistics) -> None:
        if self.json:
            _print_json(final=True, **attrs.asdict(final))
            return
        print(f"up:   {_tally(final.up)}")
        print(f"down: {_tally(final.down)}")
        refused = f", {final.clients_refused} turned away" if final.clients_refused else ""
        print(f"clients: {final.clients_seen}{refused}; seed {final.seed}", flush=True)
        if final.dropped_by_kernel:
            print(
                f"impair: the kernel dropped {final.dropped_by_kernel} datagrams that were read too late; this "
                "machine is too slow or its socket buffers are too small",
                file=sys.stderr,
            )


class _Complaints:
    """Says each kind of trouble with reaching the target once."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def hear(self, trouble: Trouble) -> None:
        if trouble.kind in self._said:
            return
        self._said.add(trouble.kind)
        print(f"impair: {trouble.text}", file=sys.stderr, flush=True)


def describe(conditions: LinkConditions) -> str:
    """What a link does, in a few words."""
    said = [_describe_loss(model) for model in conditions.loss]
    if conditions.delay:
        jitter = f" ±{_milliseconds(conditions.jitter)}" if conditions.jitter else ""
        said.append(f"{_milliseconds(conditions.delay)}{jitter} ms")
    for share, word in (
        (conditions.reorder, "held back"),
        (conditions.duplicate, "duplicated"),
        (conditions.corrupt, "corrupted"),
    ):
        if share:
            said.append(f"{_percent(share)} {word}")
    if conditions.rate:
        said.append(f"{conditions.rate / 1e6:g} Mbit/s with a queue of {conditions.queue} bytes")
    if conditions.mtu:
        said.append(f"MTU {conditions.mtu}")
    return ", ".join(said) or "untouched"


def _describe_loss(model: LossModel) -> str:
    if isinstance(model, IndependentLoss):
        return f"{_percent(model.probability)} lost"
    if isinstance(model, BurstLoss) and model.enter:
        mean = model.enter / (model.enter + model.leave)
        share = mean * model.loss_when_bad + (1 - mean) * model.loss_when_good
        return f"{_percent(share)} lost in bursts"
    return "some lost"


def _percent(share: float) -> str:
    return f"{share * 100:.3g}%"


def _milliseconds(duration: float) -> str:
    return f"{duration * 1000:g}"


def _tally(fates: Fates) -> str:
    named = (
        ("lost", fates.lost),
        ("queue full", fates.queue_full),
        ("too big", fates.too_big),
        ("no room", fates.no_room),
        ("duplicated", fates.duplicated),
        ("reordered", fates.reordered),
        ("corrupted", fates.corrupted),
        ("on their way", fates.waiting),
    )
    others = "".join(f", {count} {name}" for name, count in named if count)
    return f"{fates.received} received, {fates.passed} passed{others}"


def _print_json(**values: object) -> None:
    print(dumps(values), flush=True)
