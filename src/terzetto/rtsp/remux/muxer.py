"""Units of a description's medias in, an MPEG transport stream out.

One programme, number 1, with its map at PID 0x1000 and the medias that have a place in it at 0x100, 0x101 and on, in
the order of the description; the first picture media carries the clock. Times of the stream are those of the units, in
ticks of 90 kHz, plus *origin* and a constant lead; the clock (PCR) runs half that lead, 100 ms, before the times of
decoding. Decoding times are worked out from the parameter sets, as RTP has none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Final, cast

from attrs import define

from terzetto.errors import MalformedPacket, UnsupportedOperation
from terzetto.primitives.time import Micros
from terzetto.rtsp.formats.reader import MediaUnit
from terzetto.rtsp.remux.carried import TO_TRANSPORT_STREAM, Writing, writing_for
from terzetto.rtsp.remux.decoding_time import DecodingTimes
from terzetto.rtsp.remux.library import import_av
from terzetto.rtsp.wire.description import Description

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.stream import Stream

__all__ = ["TransportStreamMuxer"]

_TICKS: Final = Fraction(1, 90_000)
# A decoder that starts a little early has time to shift pictures back before the first one.
_START: Final = 90_000
_OPTIONS: Final = {
    "max_delay": "100000",
    # What is there leaves; a media that is silent does not keep the others waiting.
    "max_interleave_delta": "1",
    "flush_packets": "1",
    # Whoever joins finds the programme's map soon, and the break after a restart is marked as one.
    "pat_period": "0.1",
    "mpegts_flags": "+initial_discontinuity",
}
# Streams that refresh a stripe at a time never have a key picture: after so many there is none to wait for.
_PATIENCE: Final = 250


@define
class _Track:
    stream: Stream
    writing: Writing
    times: DecodingTimes
    is_waiting: bool
    skipped: int = 0


class _Gathered:
    """What a muxer writes to."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def write(self, data: bytes) -> int:
        self.pieces.append(bytes(data))
        return len(data)


class TransportStreamMuxer:
    """Takes the units that a `UnitReader` gives, and never waits: each costs some tens of microseconds.

    `MissingExtra` without PyAV, `UnsupportedOperation` where no media of *description* has a place in a transport
    stream; those that have none are left out, see `left_out`.
    """

    def __init__(self, description: Description, *, origin: Micros = 0) -> None:
        av = import_av()
        self._av = av
        self._origin = origin * 9 // 100 + _START
        self._output = _Gathered()
        self._container = cast(
            "OutputContainer", av.open(self._output, "w", format="mpegts", options=_OPTIONS)
        )
        self._tracks: dict[int, _Track] = {}
        self.dropped: Counter[str] = Counter()
        """Units that were not carried, by reason."""
        self.left_out: list[str] = []
        """Encodings of the medias that a transport stream has no place for."""
        for index, media in enumerate(description.medias):
            for each in media.formats[:1]:
                writing = writing_for(each)
                if writing is None:
                    self.left_out.append(each.encoding or "unknown")
                    continue
                rate = each.clock_rate if media.kind == "audio" else None
                stream = self._container.add_mux_stream(TO_TRANSPORT_STREAM[each.codec], rate)
                self._tracks[index] = _Track(stream, writing, DecodingTimes(), writing.waits_for_key)
        if not self._tracks:
            names = ", ".join(dict.fromkeys(self.left_out)) or "nothing that is known"
            raise UnsupportedOperation(
                f"the input sends {names}, which has no place in an MPEG transport stream",
                hint="only rtsp:// outputs carry that",
            )
        self._container.start_encoding()

    def push(self, units: Iterable[MediaUnit]) -> bytes:
        """What is to be sent with *units*: whole packets of 188 bytes, perhaps none."""
        for unit in units:
            track = self._tracks.get(unit.media)
            if track is None:
                continue
            try:
                self._add(track, unit)
            except MalformedPacket as exc:
                self.dropped[exc.reason] += 1
            except self._av.FFmpegError:
                self.dropped["unit was refused by the muxer"] += 1
        pieces, self._output.pieces = self._output.pieces, []
        return b"".join(pieces)

    def close(self) -> bytes:
        """What was still held back; the muxer is of no use afterwards."""
        self._container.close()
        pieces, self._output.pieces = self._output.pieces, []
        return b"".join(pieces)

    def _add(self, track: _Track, unit: MediaUnit) -> None:
        if unit.pts is None:
            self.dropped["unit came before its clock"] += 1
            return
        if track.is_waiting and not unit.is_key and track.skipped < _PATIENCE:
            track.skipped += 1
            self.dropped["picture came before the first key picture"] += 1
            return
        track.is_waiting = False
        data = track.writing.write(unit.unit)
        if track.writing.reorder_depth is not None:
            track.times.depth = track.writing.reorder_depth
        shown = (unit.pts * 9 + 50) // 100 + self._origin
        decoded = track.times.next(shown)
        if decoded is None:
            self.dropped["time went backwards"] += 1
            return
        packet = self._av.Packet(data)
        packet.stream = track.stream
        packet.time_base = _TICKS
        packet.pts, packet.dts = shown, decoded
        packet.is_keyframe = unit.is_key
        self._container.mux(packet)
