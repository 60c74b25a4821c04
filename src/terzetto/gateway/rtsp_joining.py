"""Pictures and sound that came by RTSP as an MPEG transport stream, for the outputs that carry nothing else."""

from __future__ import annotations

from typing import Final

from terzetto.driver.clock import current_micros
from terzetto.errors import CallerError
from terzetto.gateway.contract import NOTHING, Batch, Report, RtpRun
from terzetto.primitives.time import Micros
from terzetto.rtsp.formats.reader import UnitReader
from terzetto.rtsp.remux import TransportStreamMuxer
from terzetto.rtsp.wire.description import Description

__all__ = ["TransportStreamMaker"]

_PAYLOAD: Final = 7 * 188


class TransportStreamMaker:
    """One for all outputs of a route: a batch is made once, however many ask for it.

    A session that begins anew gets a programme that begins anew, marked as a break, at the time that has passed since
    the first one began.
    """

    def __init__(self, report: Report) -> None:
        self._report = report
        self._description: Description | None = None
        self._reader: UnitReader | None = None
        self._muxer: TransportStreamMuxer | None = None
        self._began: Micros | None = None
        self._last: RtpRun | None = None
        self._made = NOTHING
        self._refusal: CallerError | None = None

    def convert(self, batch: Batch) -> Batch:
        """The same in whole packets of a transport stream, perhaps none; `CallerError` where that cannot be."""
        run = batch.rtp
        assert run is not None
        if run is self._last:
            return self._made
        if run.description is not self._description:
            self._begin(run.description)
        if self._refusal is not None:
            raise self._refusal
        assert self._reader is not None
        assert self._muxer is not None
        data = self._muxer.push(self._reader.push(run.packets))
        payloads = [data[at : at + _PAYLOAD] for at in range(0, len(data), _PAYLOAD)]
        self._last, self._made = run, Batch(payloads)
        return self._made

    def _begin(self, description: Description) -> None:
        now = current_micros()
        self._began = now if self._began is None else self._began
        self._description = description
        self._reader = UnitReader(description)
        try:
            self._muxer = TransportStreamMuxer(description, origin=now - self._began)
        except CallerError as exc:
            self._refusal = exc
            return
        self._refusal = None
        left_out = self._muxer.left_out
        rest = f"; {', '.join(left_out)} has no place there and is left out" if left_out else ""
        self._report(
            "remuxing", f"goes on as an MPEG transport stream{rest}", level="warning" if left_out else "info"
        )
