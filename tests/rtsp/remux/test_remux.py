"""A transport stream taken apart, carried as RTP, and put together again decodes to the same frames."""

from __future__ import annotations

import sys
from random import Random
from threading import Thread

import pytest

from terzetto.errors import MissingExtra, UnsupportedOperation
from terzetto.rtp.header import FIXED_HEADER
from terzetto.rtsp.events import RtspPacket
from terzetto.rtsp.formats.reader import MediaUnit, UnitReader
from terzetto.rtsp.formats.writer import UnitWriter
from terzetto.rtsp.remux import DemuxedUnit, TransportStreamDemuxer, TransportStreamMuxer
from terzetto.rtsp.wire.description import Description, Format, Media
from tests.rtsp.remux.programme import frames, programme


class Apart:
    """What a demuxer found in *pieces*."""

    def __init__(self, *pieces: bytes) -> None:
        self.descriptions: list[Description] = []
        self.left_out: list[str] = []
        self.units: list[DemuxedUnit] = []
        self.demuxer = TransportStreamDemuxer(self._describe, self.units.extend)
        thread = Thread(target=self.demuxer.run, daemon=True)
        thread.start()
        for piece in pieces:
            self.demuxer.feed(piece)
        self.demuxer.close()
        thread.join(30)
        assert not thread.is_alive()

    def _describe(self, description: Description, left_out: list[str]) -> None:
        self.descriptions.append(description)
        self.left_out = left_out


def carried(description: Description, units: list[DemuxedUnit]) -> list[MediaUnit]:
    """*units* through RTP packets, small enough that pictures are cut."""
    writers = [
        UnitWriter(media.formats[0], Random(1).randbytes, payload_size=300) for media in description.medias
    ]
    reader = UnitReader(description)
    found: list[MediaUnit] = []
    for media, unit, ticks in units:
        for data in writers[media].write(unit):
            _, second, sequence, timestamp, ssrc = FIXED_HEADER.unpack_from(data)
            kind, marker = second & 0x7F, second > 0x7F
            pts = ticks * 100 // 9
            found += reader.push([RtspPacket(media, kind, sequence, timestamp, marker, ssrc, data, pts=pts)])
    return found


@pytest.mark.parametrize(
    ("video", "audio", "encodings"),
    [
        ("libx264", "aac", ["H264", "mpeg4-generic"]),
        ("libx265", "mp2", ["H265", "MPA"]),
        ("mpeg2video", "ac3", ["MPV", "AC3"]),
    ],
)
def test_the_same_frames_come_out(video: str, audio: str, encodings: list[str]) -> None:
    original = programme(video, audio)
    apart = Apart(*(original[at : at + 1316] for at in range(0, len(original), 1316)))
    (description,) = apart.descriptions
    assert [media.formats[0].encoding for media in description.medias] == encodings
    assert not apart.left_out
    muxer = TransportStreamMuxer(description)
    again = muxer.push(carried(description, apart.units)) + muxer.close()
    assert not muxer.dropped
    assert len(frames(original)) == 50
    assert frames(again) == frames(original)
    assert frames(again, "audio") == frames(original, "audio")


def test_parameter_sets_that_only_the_description_has_reach_the_decoder() -> None:
    apart = Apart(programme("libx264", "aac"))
    muxer = TransportStreamMuxer(apart.descriptions[0])
    units = carried(apart.descriptions[0], apart.units)
    bare = []
    for each in units:
        parts = tuple(part for part in each.unit.parts if each.media or part[0] & 0x1F not in (7, 8))
        bare.append(MediaUnit(each.media, each.format, each.unit._replace(parts=parts), each.pts))
    assert frames(muxer.push(bare) + muxer.close()) == frames(programme("libx264", "aac"))


def test_what_comes_before_a_key_picture_is_left_out_and_counted() -> None:
    apart = Apart(programme("libx264", "aac", b_frames=0))
    muxer = TransportStreamMuxer(apart.descriptions[0])
    units = [each for each in carried(apart.descriptions[0], apart.units) if each.media == 0]
    out = muxer.push(units[3:]) + muxer.close()
    assert muxer.dropped == {"picture came before the first key picture": 7}
    assert frames(out) == frames(programme("libx264", "aac", b_frames=0))[10:]


def test_medias_without_a_place_are_left_out_and_named() -> None:
    alaw = Media(kind="audio", formats=(Format(payload_type=8, encoding="PCMA", clock_rate=8000),))
    h264 = Media(kind="video", formats=(Format(payload_type=96, encoding="H264", clock_rate=90_000),))
    assert TransportStreamMuxer(Description(medias=(h264, alaw))).left_out == ["PCMA"]
    with pytest.raises(UnsupportedOperation, match="PCMA"):
        TransportStreamMuxer(Description(medias=(alaw,)))


def test_without_the_extra_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra, match=r"terzetto\[av\]"):
        TransportStreamMuxer(Description.mpeg_ts())
    with pytest.raises(MissingExtra, match=r"terzetto\[av\]"):
        TransportStreamDemuxer(lambda description, left_out: None, lambda units: None)


def test_damage_and_rubbish_cost_units_and_nothing_else() -> None:
    original = programme("libx264", "aac")
    chance = Random(5)
    damaged = bytearray(original)
    for _ in range(60):
        damaged[chance.randrange(len(damaged))] = chance.randrange(256)
    apart = Apart(chance.randbytes(50_000), bytes(damaged), chance.randbytes(5000), original)
    whole = Apart(original)
    assert len(apart.units) > len(whole.units)
    muxer = TransportStreamMuxer(apart.descriptions[-1])
    for each in apart.units:
        # Nothing that a stranger sends makes the muxer raise.
        muxer.push([MediaUnit(each.media, Format(payload_type=96), each.unit, each.ticks * 100 // 9)])


def test_a_language_that_is_no_text_does_no_harm() -> None:
    original = programme("libx264", "aac")
    assert b"eng" in original
    assert Apart(original.replace(b"eng", b"\xff\xfe\xfd")).units == Apart(original).units


def test_rubbish_alone_ends_when_the_input_does() -> None:
    apart = Apart(Random(6).randbytes(100_000))
    assert not apart.units


def test_another_programme_is_found_when_the_first_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terzetto.rtsp.remux.demuxer._STALE", 100_000)
    null_packets = (b"\x47\x1f\xff\x10" + bytes(184)) * 700
    apart = Apart(programme("libx264", "aac"), null_packets, *[programme("libx265", "mp2", pid=0x200)] * 2)
    assert [media.formats[0].encoding for each in apart.descriptions for media in each.medias][-2:] == [
        "H265",
        "MPA",
    ]
