"""``terzetto relay IN OUT [OUT...]``."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Final

import trio
from cyclopts import Parameter

from terzetto.cli.display import Display, JsonDisplay, LineDisplay, Rates
from terzetto.cli.impair import parse_host_port
from terzetto.cli.transfer import run_transfer
from terzetto.driver.nursery import open_session_nursery
from terzetto.errors import InvalidOption
from terzetto.gateway.contract import InputSettings
from terzetto.gateway.metrics import render, serve_metrics
from terzetto.gateway.registry import plan_sink, plan_source
from terzetto.gateway.route import Notice, Route
from terzetto.gateway.transfer import plan_transfer
from terzetto.net.network import current_network
from terzetto.primitives.impairment.parse import parse_rate

__all__ = ["Relay", "relay"]

_TABLE_INTERVAL: Final = 0.5

_INTERRUPTED: Final = 130


def relay(
    input_url: Annotated[
        str, Parameter(name="IN", allow_leading_hyphen=True, help="Where the media comes from.")
    ],
    output_url: Annotated[str, Parameter(name="OUT", allow_leading_hyphen=True, help="Where it goes.")],
    /,
    *more_outputs: Annotated[
        str,
        Parameter(
            name="OUT", allow_leading_hyphen=True, help="Further outputs, each independent of the others."
        ),
    ],
    duration: Annotated[float | None, Parameter(help="Stop after so many seconds.")] = None,
    until_idle: Annotated[
        float | None,
        Parameter(help="Stop when nothing has arrived for so many seconds, after something has."),
    ] = None,
    stats: Annotated[float | None, Parameter(help="Print statistics every so many seconds.")] = None,
    metrics: Annotated[
        str | None,
        Parameter(
            help="Serve http://HOST:PORT/metrics for Prometheus; :PORT serves this machine alone (extra metrics)."
        ),
    ] = None,
    json: Annotated[
        bool,
        Parameter(
            help="Print one JSON object a line: events, statistics, and at the end the final ones.",
            negative="",
        ),
    ] = False,
    bitrate: Annotated[
        str | None,
        Parameter(help="Pace a file, or standard input, at this rate (10M, 800k) rather than by its clock."),
    ] = None,
    pace: Annotated[
        bool | None,
        Parameter(
            help="Read at the pace of the media. Files are paced unless told otherwise, pipes are not."
        ),
    ] = None,
) -> int:
    """Carry media from one input to one or more outputs, until the input ends or Ctrl-C.

    An end is one of

    rist://HOST:PORT   RIST; rist://@HOST:PORT or rist://@:PORT listens.

    rtsp://HOST/PATH   RTSP: play, or publish; rtsp://@:PORT/PATH is published to, or serves any number of players.

    udp://HOST:PORT    plain datagrams, unicast or multicast; an input is udp://@:PORT or udp://@GROUP:PORT.

    rtp://HOST:PORT    the same with an RTP header.

    file:PATH          read at the pace of its MPEG-TS clock; an output is appended to.

    \\-                  standard input or output.

    Options of an end follow its URL: rist://192.0.2.7:5000?buffer=500, udp://@239.0.0.1:5000?miface=eth0. Who calls
    and who listens is independent of where the media goes.

    srt://HOST:PORT    SRT; srt://:PORT listens, as an output for any number of callers. With transtype=file and a
    file: at the other end whole files go over, bit for bit, and their digest is shown.

    Outputs do not disturb each other: each has a queue of its own, which drops its oldest packets when it is full.
    Exit status: 0 done, 1 the peer or the machine did not allow it, 2 the command line has to change.
    """
    urls = (input_url, output_url, *more_outputs)
    for url in urls:
        # "-" is an end, and what else begins with it an option that does not exist.
        if url.startswith("-") and url != "-":
            raise InvalidOption(f"there is no option {url}", hint="see: terzetto relay --help")
    transfer = plan_transfer(input_url, urls[1:])
    if transfer is not None:
        return trio.run(run_transfer, transfer, json)
    settings = InputSettings(bitrate=_bitrate(bitrate), pace=pace)
    source = plan_source(input_url, settings)
    sinks = [plan_sink(url) for url in urls[1:]]
    for name, value in (("duration", duration), ("until-idle", until_idle), ("stats", stats)):
        if value is not None and not 0 < value < 1e9:
            raise InvalidOption(f"--{name} is {value:g}, must be more than 0 seconds")
    display = _display(as_json=json, writes_media="-" in urls[1:])
    if stats is None and display.is_live:
        stats = _TABLE_INTERVAL

    def notice(told: Notice) -> None:
        running.notice(told)

    running = Relay(
        Route(source, sinks, notice=notice),
        display,
        duration=duration,
        until_idle=until_idle,
        interval=stats,
        metrics=_metrics_address(metrics),
    )
    with _patient_collector():
        return trio.run(running.run)


@contextmanager
def _patient_collector() -> Iterator[None]:
    """Look for garbage less often: what is loaded by now stays, and packets make no cycles."""
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


class Relay:
    """A route with its watchers: signals, limits, and the display."""

    def __init__(
        self,
        route: Route,
        display: Display,
        *,
        duration: float | None = None,
        until_idle: float | None = None,
        interval: float | None = None,
        metrics: tuple[str, int] | None = None,
    ) -> None:
        self._route = route
        self._display = display
        self._duration = duration
        self._until_idle = until_idle
        self._interval = interval
        self._metrics = metrics
        self._rates = Rates()
        self._started = 0.0
        self._reason = "the input has ended"
        self._was_interrupted = False

    async def run(self) -> int:
        """Run until the end; the exit status."""
        self._started = trio.current_time()
        self._display.start()
        try:
            async with open_session_nursery() as nursery:
                await nursery.start(self._mind_signals, nursery)
                if self._metrics is not None:
                    await self._serve_metrics(nursery, *self._metrics)
                if self._duration is not None:
                    nursery.start_soon(self._stop_after, trio.sleep, self._duration, "the time is up")
                if self._until_idle is not None:
                    reason = f"nothing has arrived for {self._until_idle:g} s"
                    nursery.start_soon(self._stop_after, self._route.wait_idle, self._until_idle, reason)
                if self._interval is not None:
                    nursery.start_soon(self._show, self._interval)
                await self._route.run()
            if self._route.is_deserted:
                self._reason = "no output is left"
            elapsed = self._elapsed()
            views = self._rates.views(elapsed, self._route.reports(), total=True)
            self._display.finish(elapsed, views, self._reason)
        finally:
            self._display.stop()
        return self._status()

    def notice(self, notice: Notice) -> None:
        """Something happened on the route."""
        self._display.notice(self._elapsed(), notice)

    def _status(self) -> int:
        if self._was_interrupted:
            return _INTERRUPTED
        if self._reason.startswith("signal"):
            return 0
        return 0 if self._route.all_done else 1

    def _elapsed(self) -> float:
        return trio.current_time() - self._started

    async def _stop_after(
        self, wait: Callable[[float], Awaitable[None]], seconds: float, reason: str
    ) -> None:
        await wait(seconds)
        self._reason = reason
        self._route.stop()

    async def _serve_metrics(self, nursery: trio.Nursery, host: str, port: int) -> None:
        address, *_ = await current_network().resolve(host or "127.0.0.1", port)
        serve = partial(serve_metrics, address, lambda: render(self._route.reports()))
        address = await nursery.start(serve)
        text = f"metrics at http://{address}/metrics"
        self.notice(Notice("metrics", "output", "metrics", text, "info"))

    async def _show(self, interval: float) -> None:
        while True:
            await trio.sleep(interval)
            elapsed = self._elapsed()
            self._display.update(elapsed, self._rates.views(elapsed, self._route.reports()))

    async def _mind_signals(
        self, nursery: trio.Nursery, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                if self._reason.startswith("signal"):
                    self._was_interrupted = True
                    nursery.cancel_scope.cancel()
                    return
                self._reason = f"signal {signal.Signals(number).name}"
                self._route.stop()


def _metrics_address(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    render([])  # a missing extra should show before anything runs
    return parse_host_port(text, "--metrics")


def _bitrate(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return round(parse_rate(text if not text.isdigit() else f"{text}bit"))
    except ValueError as exc:
        raise InvalidOption(f"--bitrate: {exc}") from exc


def _display(*, as_json: bool, writes_media: bool) -> Display:
    if as_json:
        return JsonDisplay(sys.stderr if writes_media else sys.stdout)
    if sys.stderr.isatty():
        from terzetto.cli.relay_table import TableDisplay

        return TableDisplay()
    return LineDisplay(sys.stderr)
