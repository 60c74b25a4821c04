"""An MPEG transport stream in, access units of its elementary streams out.

libavformat reads as from a file, so a thread of its own does: bytes reach it by a bounded pipe, and units come back in
batches, as many as there are until it would have to wait for more bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from terzetto.errors import MalformedPacket
from terzetto.rtsp.formats.contract import AccessUnit
from terzetto.rtsp.remux.carried import TO_RTP, format_for, parts_for
from terzetto.rtsp.remux.library import import_av, lenient_metadata
from terzetto.rtsp.remux.pipe import BytePipe
from terzetto.rtsp.remux.timeline import Timeline
from terzetto.rtsp.wire.description import Description, Format, Media

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream

__all__ = ["DemuxedUnit", "TransportStreamDemuxer"]

_CLOCK: Final = 90_000
# Looked at before anything comes out; most streams show what they are within one picture.
_OPTIONS: Final = {"probesize": "2000000", "analyzeduration": "2000000", "scan_all_pmts": "0"}
_BUFFER_SIZE: Final = 188 * 170
_BATCH: Final = 64
# Packets to look through for the first of every sound stream, whose header describes it.
_LOOKED_THROUGH: Final = 400
# So many bytes without a single unit: the programme is another one now, and is looked at anew.
_STALE: Final = 4 << 20
_FIRST_PAYLOAD_TYPE: Final = 96


class DemuxedUnit(NamedTuple):
    """A unit of one media, and when it is to be shown."""

    media: int
    unit: AccessUnit
    """Its time stamp counts the media's clock since the beginning of the stream, without its upper bits."""
    ticks: int
    """The same in 90 kHz, in full."""


class TransportStreamDemuxer:
    """`feed` it from the event loop, and let a thread `run` it.

    *describe* hears what there is, again when that changes, with the names of what was left out; *deliver* takes the
    units. Both are called in the thread and may block it: bytes then wait in the pipe up to its limit.
    """

    def __init__(
        self,
        describe: Callable[[Description, list[str]], None],
        deliver: Callable[[list[DemuxedUnit]], None],
    ) -> None:
        self._av = import_av()
        self._describe = describe
        self._deliver = deliver
        self._pipe = BytePipe(on_empty=self._flush)
        self._timeline = Timeline()
        self._found: list[DemuxedUnit] = []
        self._since_unit = 0
        self._is_over = False

    @property
    def shed(self) -> int:
        """Bytes that were dropped because the thread did not keep up."""
        return self._pipe.shed

    @property
    def jumps(self) -> int:
        """How often the stream's clock began anew."""
        return self._timeline.jumps

    def feed(self, data: bytes) -> None:
        """Bytes of the stream, cut anywhere; never waits."""
        self._pipe.write(data)

    def close(self) -> None:
        """Let the thread end, with what it still has."""
        self._pipe.close()

    def run(self) -> None:
        """Demux until `close`; what makes no sense is passed over."""
        while not self._is_over:
            try:
                self._demux()
            except (self._av.FFmpegError, MalformedPacket):
                continue
            except IndexError:
                continue  # PyAV's word for a packet of a stream that was not there when it looked
        self._flush()

    def read(self, size: int) -> bytes:
        """For libavformat: the next bytes."""
        if self._since_unit > _STALE:
            return b""  # an end, for this container
        data = self._pipe.read(size)
        self._is_over = not data
        self._since_unit += len(data)
        return data

    def _demux(self) -> None:
        self._since_unit = 0
        container = cast(
            "InputContainer",
            self._av.open(
                self,
                "r",
                format="mpegts",
                options=_OPTIONS,
                buffer_size=_BUFFER_SIZE,
                **lenient_metadata(self._av),
            ),
        )
        with container:
            packets = _Packets(container)
            medias = packets.medias()
            formats = {media: each for media, (_, each) in enumerate(medias)}
            places = {index: media for media, (index, _) in enumerate(medias)}
            if not formats:
                self._describe(Description(medias=()), packets.left_out)
                return
            self._describe(
                Description(medias=tuple(_media(each) for each in formats.values())), packets.left_out
            )
            clocks = {media: _SampleClock(each) for media, each in formats.items()}
            for packet in packets:
                media = places.get(packet.stream.index)
                if media is not None and packet.pts is not None:
                    self._take(media, formats[media], clocks[media], packet)

    def _take(self, media: int, media_format: Format, clock: _SampleClock, packet: Packet[Stream]) -> None:
        assert packet.pts is not None
        self._since_unit = 0
        ticks = self._timeline.place(packet.pts)
        parts = parts_for(media_format.codec, bytes(packet))
        if parts:
            unit = AccessUnit(parts, clock.place(ticks, len(parts)) & 0xFFFF_FFFF, packet.is_keyframe)
            self._found.append(DemuxedUnit(media, unit, ticks))
        if len(self._found) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        if self._found:
            found, self._found = self._found, []
            self._deliver(found)


class _Packets:
    """The packets of a container, from the first on, of streams that can be described."""

    def __init__(self, container: InputContainer) -> None:
        self._source: Iterator[Packet[Stream]] = container.demux()
        self._seen: list[Packet[Stream]] = []
        self._streams = {stream.index: stream for stream in container.streams}
        self.left_out: list[str] = []
        """Names of the streams that are not passed on."""

    def medias(self) -> list[tuple[int, Format]]:
        """The streams that RTP has a format for: number and format."""
        names: dict[int, str] = {}
        for index, stream in self._streams.items():
            context = getattr(stream, "codec_context", None)
            name = context.name if context is not None else stream.type
            if context is not None and name.removesuffix("float") in TO_RTP:
                names[index] = name.removesuffix("float")
            else:
                self.left_out.append(name)
        first = self._first_of({index for index, name in names.items() if name == "aac"})
        found: list[tuple[int, Format]] = []
        for index, name in names.items():
            context = self._streams[index].codec_context
            is_sound = self._streams[index].type == "audio"
            try:
                each = format_for(
                    name,
                    _FIRST_PAYLOAD_TYPE + len(found),
                    bytes(context.extradata or b""),
                    first.get(index, b""),
                    getattr(context, "sample_rate", 0) if is_sound else 0,
                    getattr(context, "channels", 0) if is_sound else 0,
                )
            except MalformedPacket:
                self.left_out.append(name)
                continue
            found.append((index, each))
        return found

    def __iter__(self) -> Iterator[Packet[Stream]]:
        seen, self._seen = self._seen, []
        yield from seen
        yield from self._source

    def _first_of(self, wanted: set[int]) -> dict[int, bytes]:
        found: dict[int, bytes] = {}
        while wanted - found.keys() and len(self._seen) < _LOOKED_THROUGH:
            packet = next(self._source, None)
            if packet is None:
                break
            self._seen.append(packet)
            if packet.stream.index in wanted and packet.size:
                found.setdefault(packet.stream.index, bytes(packet))
        return found


class _SampleClock:
    """Ticks of 90 kHz as ticks of a media's clock; frames of sound follow one another without a gap of rounding."""

    def __init__(self, media_format: Format) -> None:
        self._rate = media_format.clock_rate
        self._samples = {"mpeg4-generic": 1024, "ac3": 1536}.get(media_format.codec, 0)
        self._expected = 0

    def place(self, ticks: int, frames: int) -> int:
        moment = ticks * self._rate // _CLOCK
        if self._samples:
            if abs(moment - self._expected) <= 2:
                moment = self._expected
            self._expected = moment + frames * self._samples
        return moment


def _media(media_format: Format) -> Media:
    is_video = media_format.codec in ("h264", "h265", "mpv")
    return Media(kind="video" if is_video else "audio", formats=(media_format,))
