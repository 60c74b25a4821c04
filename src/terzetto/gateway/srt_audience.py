"""An SRT listener as an output: any number of callers, each with its own terms, queue and figures."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from urllib.parse import urlencode

import attrs
import trio

from terzetto.errors import InvalidOption
from terzetto.gateway.contract import Batch, Json, Report, Sink
from terzetto.srt.api import connect_srt_listener
from terzetto.srt.core.listener import ConnectionRequest
from terzetto.srt.events import ConnectionRefused
from terzetto.srt.fan_out import FanOut, SubscriberReport
from terzetto.srt.listening import SrtListener, SrtRefusal
from terzetto.srt.options import SrtOptions
from terzetto.srt.stream import SrtStream
from terzetto.srt.url import target_from_url
from terzetto.srt.wire.rejection import ApplicationReason

__all__ = ["AudienceSink", "CallerBook"]

_ANYBODY = "*"

# What a table wants of all callers together.
_SUMMED = ("retransmitted", "reported_lost", "dropped_by_sender", "sent", "bytes_sent")


class CallerBook:
    """Who may call, and on what terms: a TOML file of ``[[caller]]`` tables.

    Each has a ``streamid`` (``"*"`` for anybody else), and the names of SRT URLs for what differs:
    ``passphrase``, ``latency`` and so on. Who is not in the book is refused.
    """

    def __init__(self, path: str, base: SrtOptions) -> None:
        try:
            book = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            raise InvalidOption(f"callers={path} cannot be read: {exc}") from None
        entries = book.get("caller", [])
        if not isinstance(entries, list) or not entries:
            raise InvalidOption(
                f"callers={path} names no callers", hint='write [[caller]] and streamid = "..."'
            )
        self._terms: dict[str, SrtOptions] = {}
        for entry in entries:
            terms = dict(entry)
            name = terms.pop("streamid", None)
            if not isinstance(name, str):
                raise InvalidOption(f"callers={path} has a caller without a streamid")
            query = urlencode({key: _text(value) for key, value in terms.items()})
            self._terms[name] = target_from_url(f"srt://:1?{query}", base, {}).options

    async def authorize(self, request: ConnectionRequest) -> SrtOptions | SrtRefusal | None:
        """The terms of a caller, or why it has none."""
        for name in (request.stream_id, request.name.resource, request.name.user, _ANYBODY):
            if name in self._terms:
                return self._terms[name]
        return SrtRefusal(
            ApplicationReason.UNAUTHORIZED, f"{request.stream_id!r} is not in the book of callers"
        )


class AudienceSink(Sink):
    """Gives every caller what the route carries, from the moment it comes."""

    def __init__(self, listener: SrtListener, nursery: trio.Nursery, report: Report) -> None:
        self._listener = listener
        self._report = report
        self._fan_out = FanOut()
        self._first = trio.Event()
        self._finished: trio.Event | None = None
        self._departed: Counter[str] = Counter()
        self._served = 0
        self._refused = 0
        nursery.start_soon(self._watch_door)
        nursery.start_soon(self._accept, nursery)

    @classmethod
    async def open(cls, url: str, nursery: trio.Nursery, report: Report) -> AudienceSink:
        """Listen at *url*."""
        target = target_from_url(url, None, {})
        authorize = None
        if target.callers:
            authorize = CallerBook(target.callers, target.options).authorize
        listener = await connect_srt_listener(nursery, url, authorize=authorize)
        return cls(listener, nursery, report)

    def send_nowait(self, batch: Batch) -> None:
        """Give it to all; each of them has a queue of its own."""
        self._fan_out.publish(batch.payloads)

    async def send(self, batch: Batch) -> None:
        """The same."""
        self.send_nowait(batch)
        await trio.lowlevel.checkpoint()

    async def wait_ready(self) -> None:
        """Wait until there is a caller."""
        await self._first.wait()

    def statistics(self) -> Mapping[str, Json]:
        """All callers together, and each of them."""
        reports = self._fan_out.reports()
        totals = self._departed.copy()
        for report in reports:
            totals.update(_figures(report))
        trips = [report.statistics.round_trip for report in reports]
        return {
            **{name: totals[name] for name in _SUMMED},
            "round_trip": max(trips, default=0.0),
            "served": self._served,
            "refused": self._refused,
            "callers": [_describe(report) for report in reports],
        }

    async def aclose(self) -> None:
        """Everybody gets what waits, and a goodbye."""
        self._listener.close()
        self._fan_out.end()
        while len(self._fan_out):
            self._finished = trio.Event()
            await self._finished.wait()
        await trio.lowlevel.checkpoint()

    async def _accept(self, nursery: trio.Nursery) -> None:
        while True:
            try:
                stream = await self._listener.accept()
            except trio.ClosedResourceError:
                return
            nursery.start_soon(self._serve, stream)

    async def _serve(self, stream: SrtStream) -> None:
        who = f"{stream.peer_address}"
        if stream.stream_id:
            who += f" ({stream.stream_id})"
        self._served += 1
        self._first.set()
        self._report("peer_connected", f"{who} is connected, {stream.peer_latency * 1000:.0f} ms latency")
        subscriber = await self._fan_out.serve(stream)
        last = subscriber.report()
        self._departed.update(_figures(last))
        sent = last.statistics
        self._report(
            "peer_lost",
            f"{who} has gone: {last.packets} packets, {sent.retransmitted} repeated, {last.shed} dropped,"
            f" {sent.round_trip * 1000:.0f} ms round trip",
        )
        if self._finished is not None:
            self._finished.set()

    async def _watch_door(self) -> None:
        async with aclosing(self._listener.events()) as events:
            async for event in events:
                if isinstance(event, ConnectionRefused):
                    self._refused += 1
                    who = f"{event.peer} ({event.stream_id})" if event.stream_id else f"{event.peer}"
                    self._report(
                        "refused", f"{who} was turned away: {event.reason} ({event.code})", level="warning"
                    )


def _figures(report: SubscriberReport) -> dict[str, int]:
    return {name: getattr(report.statistics, name) for name in _SUMMED}


def _describe(report: SubscriberReport) -> Mapping[str, Json]:
    return {
        "peer": str(report.peer),
        "stream_id": report.stream_id,
        "packets": report.packets,
        "octets": report.octets,
        "queue": report.queue,
        "shed": report.shed,
        "latency": report.statistics.send_latency,
        **{k: v for k, v in attrs.asdict(report.statistics).items() if k != "malformed"},
    }


def _text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
