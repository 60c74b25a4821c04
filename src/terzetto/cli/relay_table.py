"""A running relay on a terminal: a table of its ends, and below it what happened last."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from terzetto.cli.display import Display, EndpointView
from terzetto.gateway.route import Notice

__all__ = ["TableDisplay"]

_EVENTS_SHOWN: Final = 8
_COLUMNS: Final = (
    "",
    "endpoint",
    "Mbit/s",
    "packets",
    "lost",
    "recovered",
    "unrecovered",
    "repeated",
    "rtt ms",
    "queue",
    "shed",
)


class TableDisplay(Display):
    """Draws on standard error, so that media on standard output is not touched."""

    is_live = True

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False)
        self._events: deque[Text] = deque(maxlen=_EVENTS_SHOWN)
        self._views: Sequence[EndpointView] = ()
        self._elapsed = 0.0

    def start(self) -> None:
        """Take the terminal."""
        self._live.start()

    def stop(self) -> None:
        """Leave the last picture standing."""
        self._live.stop()

    def notice(self, elapsed: float, notice: Notice) -> None:
        """Add a line below the table."""
        style = "yellow" if notice.level == "warning" else "dim"
        self._events.append(Text(f"{elapsed:8.1f}  {notice.endpoint}: {notice.text}", style=style))
        self._draw()

    def update(self, elapsed: float, views: Sequence[EndpointView]) -> None:
        """Draw the figures as they are now."""
        self._elapsed, self._views = elapsed, views
        self._draw()

    def finish(self, elapsed: float, views: Sequence[EndpointView], reason: str) -> None:
        """Draw the figures of the whole run."""
        self._events.append(Text(f"{elapsed:8.1f}  ended: {reason}"))
        self.update(elapsed, views)

    def _draw(self) -> None:
        table = Table(
            box=None, padding=(0, 1), title=f"terzetto relay, {self._elapsed:.0f} s", title_justify="left"
        )
        for column in _COLUMNS:
            is_text = column in ("", "endpoint")
            table.add_column(column, justify="left" if is_text else "right", no_wrap=not is_text)
        for view in self._views:
            table.add_row(*_cells(view))
        self._live.update(Group(table, *self._events), refresh=True)


def _cells(view: EndpointView) -> list[str | Text]:
    report = view.report
    unrecovered = view.figure("unrecovered")
    round_trip = view.round_trip
    return [
        "in" if report.role == "input" else "out",
        report.endpoint,
        f"{view.bitrate / 1e6:.2f}",
        str(report.packets),
        _number(view.figure("lost")),
        _number(view.figure("recovered")),
        Text(_number(unrecovered), style="bold red" if unrecovered else ""),
        _number(view.figure("retransmitted")),
        "" if round_trip is None else f"{round_trip * 1000:.1f}",
        str(report.queue) if report.role == "output" else "",
        Text(str(report.shed), style="bold red" if report.shed else "") if report.role == "output" else "",
    ]


def _number(value: float | None) -> str:
    return "" if value is None else str(value)
