"""What ``terzetto demo`` looks like on a terminal."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from terzetto.gateway.demonstration import DemoPlan, DemoProgress

__all__ = ["DemoView", "sparkline"]

_BARS: Final = " ▁▂▃▄▅▆▇█"
_CHART_WIDTH: Final = 40
_PANEL_WIDTH: Final = 96

# Borders, the columns left of the charts, and what keeps them apart.
_BESIDE_CHARTS: Final = 52

_PHASES: Final = {
    "connecting": "connecting",
    "streaming": "on air",
    "finishing": "waiting for the last repeats",
    "done": "done",
}

# Name, style and explanation of each row that has a chart.
_ROWS: Final = (
    ("sent", "cyan", "packets of media"),
    ("lost", "yellow", "taken by the network"),
    ("recovered", "green", "repeated in time"),
    ("unrecovered", "bold red", "gone for good"),
)


def sparkline(values: Iterable[int], highest: int) -> str:
    """One character for each value; anything above nothing is seen."""
    top = len(_BARS) - 1
    return "".join(
        _BARS[min(-(-value * top // max(highest, 1)), top) if value > 0 else 0] for value in values
    )


class DemoView:
    """A panel that is redrawn as the figures change; each chart's newest column is at the right."""

    def __init__(self, title: str, plan: DemoPlan, *, every: float, console: Console | None = None) -> None:
        self._title = title
        self._plan = plan
        self._console = console or Console(highlight=False)
        self._width = min(self._console.width, _PANEL_WIDTH)
        self._live = Live(console=self._console, refresh_per_second=4, auto_refresh=False)
        # Two updates a column: a column is then long enough for a loss of a few per cent to be seen.
        self._per_column = max(round(0.2 / every), 1)
        self._updates = 0
        self._before: dict[str, int] = {name: 0 for name, _, _ in _ROWS}
        columns = max(min(self._width - _BESIDE_CHARTS, _CHART_WIDTH), 0)
        self._charts: dict[str, deque[int]] = {
            name: deque([0] * columns, maxlen=columns) for name, _, _ in _ROWS
        }

    def start(self) -> None:
        """Take the terminal."""
        self._live.start()

    def stop(self) -> None:
        """Leave the last picture standing and give the terminal back."""
        self._live.stop()

    def update(self, progress: DemoProgress) -> None:
        """Draw the figures as they are now."""
        now = {name: int(getattr(progress, name)) for name in self._before}
        if self._updates % self._per_column == 0 and progress.phase != "done":
            for name, chart in self._charts.items():
                chart.append(now[name] - self._before[name])
            self._before = now
        self._updates += 1
        self._live.update(self._picture(progress), refresh=True)

    def say(self, lines: Iterable[str], *, good: bool) -> None:
        """Print the verdict below the picture."""
        mark, style = ("✔", "green") if good else ("✘", "red")
        for index, line in enumerate(lines):
            text = Text(line)
            row = Table.grid(padding=(0, 1))
            row.add_row(Text(mark if index == 0 else " ", style=f"bold {style}"), text)
            self._console.print(row)

    def _picture(self, progress: DemoProgress) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        table.add_column(min_width=11)
        table.add_column(justify="right", min_width=7)
        table.add_column(min_width=20)
        table.add_column(no_wrap=True)
        losses = max(*self._charts["lost"], *self._charts["recovered"], 1, 1)
        for name, style, explanation in _ROWS:
            value = int(getattr(progress, name))
            highest = max(self._charts["sent"], default=0) if name == "sent" else losses
            muted = name == "unrecovered" and not value
            table.add_row(
                Text(name, style="dim" if muted else style),
                Text(f"{value:,}".replace(",", " "), style="dim" if muted else "bold"),
                Text(self._share(name, progress) or explanation, style="dim"),
                Text(sparkline(self._charts[name], highest), style=style),
            )
        return Panel(
            Group(self._header(progress), Padding(table, (1, 0)), self._footer(progress)),
            title="terzetto demo",
            title_align="left",
            border_style="dim",
            padding=(0, 2),
            width=self._width,
        )

    def _header(self, progress: DemoProgress) -> RenderableType:
        bar = Table.grid(padding=(0, 1))
        bar.add_column(width=40)
        bar.add_column()
        done = progress.elapsed if progress.phase in ("connecting", "streaming") else self._plan.seconds
        bar.add_row(
            ProgressBar(total=self._plan.seconds, completed=done, width=40),
            Text(
                f"{done:.1f} of {self._plan.seconds:g} s · {_PHASES.get(progress.phase, progress.phase)}",
                style="bold",
            ),
        )
        return Group(Text(self._title, style="dim"), Text(""), bar)

    def _share(self, name: str, progress: DemoProgress) -> str:
        if name == "lost" and progress.sent:
            return f"{100 * progress.lost / progress.sent:.1f}% of sent"
        if name == "recovered" and progress.lost:
            return f"{100 * progress.recovered / progress.lost:.1f}% of lost"
        if name == "unrecovered" and progress.unrecovered:
            return f"{100 * progress.unrecovered / progress.sent:.1f}% of sent"
        return ""

    def _footer(self, progress: DemoProgress) -> RenderableType:
        facts = (
            ("round trip", f"{progress.round_trip * 1000:.0f} ms"),
            ("repeats", f"{progress.retransmitted}"),
            ("asked for now", f"{progress.missing}"),
            ("latency", f"{self._plan.chosen_latency * 1000:g} ms"),
        )
        text = Text()
        for index, (name, value) in enumerate(facts):
            text.append("   " if index else "")
            text.append(f"{name} ", style="dim").append(value)
        return text
