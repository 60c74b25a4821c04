"""What a running relay says: JSON for programs, lines for logs; the table for terminals is in `relay_table`."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Final, TextIO

import attrs

from terzetto.gateway.contract import Json
from terzetto.gateway.route import EndpointReport, Notice

__all__ = ["Display", "EndpointView", "JsonDisplay", "LineDisplay", "Rates", "describe"]

_MEGA: Final = 1_000_000


class Display(ABC):
    """Told what happens; `start` and `stop` frame a run."""

    is_live = False
    """Whether it wants figures even when nobody asked for them."""

    def start(self) -> None:  # noqa: B027 - most have nothing to do
        """The relay is about to run."""

    @abstractmethod
    def notice(self, elapsed: float, notice: Notice) -> None:
        """Something happened."""

    @abstractmethod
    def update(self, elapsed: float, views: Sequence[EndpointView]) -> None:
        """The figures as they are now."""

    @abstractmethod
    def finish(self, elapsed: float, views: Sequence[EndpointView], reason: str) -> None:
        """The relay has ended, for this *reason*."""

    def stop(self) -> None:  # noqa: B027 - most have nothing to do
        """Give the terminal back."""


@attrs.frozen
class EndpointView:
    """A report with the rate since the one before, and what all protocols call by the same words."""

    report: EndpointReport
    bitrate: float

    def figure(self, name: str) -> int | float | None:
        """One of the protocol's own counters, where it has it."""
        value = self.report.details.get(name)
        return value if isinstance(value, int | float) else None

    @property
    def round_trip(self) -> float | None:
        """Seconds; None where nothing measures it."""
        peer = self.report.details.get("peer")
        if not isinstance(peer, Mapping) or not peer.get("round_trip_measured"):
            return None
        value = peer.get("round_trip")
        return value if isinstance(value, float) else None

    def as_dict(self) -> dict[str, Json]:
        """The view as JSON."""
        report = self.report
        return {
            "endpoint": report.endpoint,
            "role": report.role,
            "packets": report.packets,
            "bytes": report.octets,
            "bitrate": round(self.bitrate),
            "queue": report.queue,
            "shed": report.shed,
            "lost": self.figure("lost"),
            "recovered": self.figure("recovered"),
            "unrecovered": self.figure("unrecovered"),
            "retransmitted": self.figure("retransmitted"),
            "round_trip": self.round_trip,
            "details": report.details,
        }


class Rates:
    """Turns reports into views: bits a second since the last time it was asked."""

    def __init__(self) -> None:
        self._before: dict[tuple[int, str], int] = {}
        self._at = 0.0

    def views(
        self, elapsed: float, reports: Sequence[EndpointReport], *, total: bool = False
    ) -> list[EndpointView]:
        """A view of each report; with *total* the rates are those of the whole run."""
        span = elapsed if total else elapsed - self._at
        views = []
        for index, report in enumerate(reports):
            before = 0 if total else self._before.get((index, report.endpoint), 0)
            views.append(EndpointView(report, (report.octets - before) * 8 / span if span > 0 else 0.0))
            self._before[index, report.endpoint] = report.octets
        self._at = elapsed
        return views


class JsonDisplay(Display):
    """One object a line: ``type`` is ``event`` or ``stats``; the last has ``"final": true``."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def notice(self, elapsed: float, notice: Notice) -> None:
        """An event."""
        self._write({"type": "event", "elapsed": round(elapsed, 3), **attrs.asdict(notice)})

    def update(self, elapsed: float, views: Sequence[EndpointView]) -> None:
        """Statistics."""
        self._write(self._statistics(elapsed, views, final=False))

    def finish(self, elapsed: float, views: Sequence[EndpointView], reason: str) -> None:
        """The last statistics."""
        self._write({**self._statistics(elapsed, views, final=True), "reason": reason})

    def _statistics(self, elapsed: float, views: Sequence[EndpointView], *, final: bool) -> dict[str, Json]:
        endpoints = [view.as_dict() for view in views]
        return {"type": "stats", "final": final, "elapsed": round(elapsed, 3), "endpoints": endpoints}

    def _write(self, value: Mapping[str, Json]) -> None:
        print(json.dumps(value), file=self._stream, flush=True)


class LineDisplay(Display):
    """Lines of text."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def notice(self, elapsed: float, notice: Notice) -> None:
        """An event."""
        mark = "warning: " if notice.level == "warning" else ""
        self._print(elapsed, f"{notice.role} {notice.endpoint}: {mark}{notice.text}")

    def update(self, elapsed: float, views: Sequence[EndpointView]) -> None:
        """A line for each endpoint."""
        for view in views:
            self._print(elapsed, f"{view.report.role} {view.report.endpoint}: {describe(view)}")

    def finish(self, elapsed: float, views: Sequence[EndpointView], reason: str) -> None:
        """The figures of the whole run."""
        self._print(elapsed, f"ended: {reason}")
        self.update(elapsed, views)

    def _print(self, elapsed: float, text: str) -> None:
        print(f"[{elapsed:9.3f}] {text}", file=self._stream, flush=True)


def describe(view: EndpointView) -> str:
    """One endpoint's figures in a sentence."""
    report = view.report
    parts = [f"{view.bitrate / _MEGA:.2f} Mbit/s", f"{report.packets} packets"]
    lost = view.figure("lost")
    if lost is not None:
        parts.append(
            f"{lost} lost, {view.figure('recovered')} recovered, {view.figure('unrecovered')} unrecovered"
        )
    retransmitted = view.figure("retransmitted")
    if retransmitted is not None:
        parts.append(f"{retransmitted} repeated")
    missing = view.figure("missing")
    if lost is None and missing is not None:
        parts.append(f"{missing} missing")
    if view.round_trip is not None:
        parts.append(f"round trip {view.round_trip * 1000:.1f} ms")
    if report.queue:
        parts.append(f"{report.queue} queued")
    if report.shed:
        parts.append(f"{report.shed} shed")
    return ", ".join(parts)
