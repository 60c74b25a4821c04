"""One input to many outputs.

The input's task offers each batch to every output in turn; an output takes it at once or queues it, and never
makes the others wait. Only an input that can be held back without losing anything (a file read at full speed) is
held back, and only by outputs that get anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Literal

import attrs
import trio

from terzetto.driver.nursery import open_session_nursery
from terzetto.gateway.contract import Batch, Json, Level, Report, SinkPlan, Source, SourcePlan
from terzetto.gateway.output import Output

if TYPE_CHECKING:
    from terzetto.gateway.rtsp_joining import TransportStreamMaker

__all__ = ["EndpointReport", "Notice", "Route"]

# How long an input that can wait does so for the slower outputs once the first is ready.
_PATIENCE_WITH_THE_OTHERS: Final = 3.0

_PATIENCE_WITH_THE_INPUT: Final = 5.0


@attrs.frozen
class Notice:
    """Something that happened at one end of a route."""

    endpoint: str
    role: Literal["input", "output"]
    event: str
    text: str
    level: Level


@attrs.frozen
class EndpointReport:
    """What passed one end of a route so far."""

    endpoint: str
    role: Literal["input", "output"]
    packets: int
    octets: int
    queue: int = 0
    shed: int = 0
    details: Mapping[str, Json] = attrs.field(factory=dict)
    """The protocol's own counters."""
    snapshot: object | None = None
    """The same as the protocol's own value, while the end is open."""


class Route:
    """Carries what *source* gives to all *sinks*; *notice* hears what happens, between awaits."""

    def __init__(
        self, source: SourcePlan, sinks: Sequence[SinkPlan], *, notice: Callable[[Notice], None]
    ) -> None:
        self._plan = source
        self._notice = notice
        self._source: Source | None = None
        self._outputs = [
            Output(
                plan,
                self._report_for(plan.name, "output"),
                on_gone=self._stop_if_nobody_is_left,
                in_bytes=self._in_bytes,
            )
            for plan in sinks
        ]
        self._maker: TransportStreamMaker | None = None
        self._details: Mapping[str, Json] = {}
        self._reading = trio.CancelScope()
        self._packets = 0
        self._octets = 0
        self._last_arrival: float | None = None

    async def run(self) -> None:
        """Open everything, carry until the input ends or `stop` is called, let the outputs finish, close.

        Raises what went wrong with the input, or with all outputs at once when they were opened.
        """
        async with open_session_nursery() as nursery:
            source = await self._plan.open(nursery, self._report_for(self._plan.name, "input"))
            self._source = source
            try:
                for output in self._outputs:
                    nursery.start_soon(output.run)
                with self._reading:
                    await self._wait_for_outputs(source)
                    nursery.start_soon(self._mind_silence, source.silence_hint)
                    await self._carry(source)
                for output in self._outputs:
                    output.end()
                for output in self._outputs:
                    await output.finished.wait()
            finally:
                with suppress(trio.ClosedResourceError):
                    self._details = source.statistics()
                self._source = None
                await trio.aclose_forcefully(source)

    def stop(self) -> None:
        """Read no more; what was read still leaves, then `run` returns."""
        self._reading.cancel()

    async def wait_idle(self, seconds: float) -> None:
        """Wait until nothing has arrived for *seconds*, after something has."""
        while True:
            if self._last_arrival is None:
                await trio.sleep(min(seconds, 0.1))
                continue
            due = self._last_arrival + seconds
            if due <= trio.current_time():
                return
            await trio.sleep_until(due)

    @property
    def all_done(self) -> bool:
        """Whether every output is or was served; False where one failed, or was never ready."""
        return all(output.ready.is_set() and output.failure is None for output in self._outputs)

    @property
    def is_deserted(self) -> bool:
        """Whether every output failed for good, which ends the route."""
        return all(output.is_gone for output in self._outputs)

    def reports(self) -> list[EndpointReport]:
        """What passed so far, the input first."""
        snapshot: object | None = None
        if self._source is not None:
            self._details = self._source.statistics()
            snapshot = self._source.snapshot()
        reports = [
            EndpointReport(
                self._plan.name,
                "input",
                self._packets,
                self._octets,
                details=self._details,
                snapshot=snapshot,
            )
        ]
        reports += [
            EndpointReport(
                output.name,
                "output",
                output.packets,
                output.octets,
                output.waiting,
                output.shed,
                output.statistics(),
                output.snapshot(),
            )
            for output in self._outputs
        ]
        return reports

    async def _carry(self, source: Source) -> None:
        if not source.is_bulk:
            await source.deliver_to(self._offer)
            return
        while True:
            batch = await source.receive()
            if batch is None:
                return
            self._offer(batch)
            for output in self._outputs:
                await output.wait_for_room()

    def _offer(self, batch: Batch) -> None:
        octets = sum(map(len, batch.payloads))
        self._packets += len(batch.payloads)
        self._octets += octets
        self._last_arrival = trio.current_time()
        for output in self._outputs:
            output.offer(batch, octets)

    async def _wait_for_outputs(self, source: Source) -> None:
        for output in self._outputs:
            await output.opened.wait()
        failures = [output.failure for output in self._outputs if output.failure is not None]
        if len(failures) == len(self._outputs):
            raise failures[0]
        if not source.is_patient:
            return
        async with trio.open_nursery() as nursery:

            async def cut_short(output: Output) -> None:
                await output.ready.wait()
                nursery.cancel_scope.deadline = min(
                    nursery.cancel_scope.deadline, trio.current_time() + _PATIENCE_WITH_THE_OTHERS
                )

            for output in self._outputs:
                nursery.start_soon(cut_short, output)

    async def _mind_silence(self, hint: str) -> None:
        await trio.sleep(_PATIENCE_WITH_THE_INPUT)
        if hint and self._last_arrival is None:
            report = self._report_for(self._plan.name, "input")
            text = f"nothing has arrived in {_PATIENCE_WITH_THE_INPUT:g} s; {hint}; waiting on"
            report("no_input", text, level="warning")

    def _in_bytes(self, batch: Batch) -> Batch:
        """What came as pictures and sound, for outputs that carry a transport stream."""
        if self._maker is None:
            # Imported when it is needed: a route without RTSP loads nothing of RTSP.
            from terzetto.gateway.rtsp_joining import TransportStreamMaker

            self._maker = TransportStreamMaker(self._report_for(self._plan.name, "input"))
        return self._maker.convert(batch)

    def _stop_if_nobody_is_left(self) -> None:
        if self.is_deserted:
            self.stop()

    def _report_for(self, endpoint: str, role: Literal["input", "output"]) -> Report:
        def report(event: str, text: str, *, level: Level = "info") -> None:
            self._notice(Notice(endpoint, role, event, text, level))

        return report
